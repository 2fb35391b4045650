import { Problem, peerOf, refusalProblem } from '@signet/service';
import type { FastifyRequest } from 'fastify';
import { type KeyRing, standingOf } from '../domain/rotation/key-ring.ts';
import type { DeviceName, Gateway } from './gateway.ts';

/** How long a device waits that came before the event of its certificate, seconds. */
const UNHEARD_RETRY_SECONDS = 2;

export type Asking = {
  readonly device: DeviceName;
  readonly ring: KeyRing | undefined;
  readonly publicKeyHash: string;
};

/**
 * Whose request this is. A key that was replaced is refused (F38). Of one that nothing was heard of, where the device has
 * another, the issuer is asked: its certificate's event may be on its way, or lost with what a restore took back. One
 * that is not on record there either is refused for good, and the device goes back through bootstrap.
 */
export async function whoAsks(request: FastifyRequest, gateway: Gateway): Promise<Asking> {
  const peer = peerOf(request.raw.socket);
  if (peer?.account === undefined) throw refusalProblem('no-certificate');
  const device = { account: peer.account, deviceId: peer.deviceId };
  const { publicKeyHash, fingerprint, serialNumber } = peer.facts;
  const shown = { serialNumber, publicKeyHash };
  let ring = await gateway.contact(device, shown);
  const isUnheard = ring?.current !== undefined && standingOf(ring, publicKeyHash) === 'unheard';
  const found = isUnheard ? await gateway.lookUp(device, shown) : undefined;
  if (found === 'learned') ring = await gateway.contact(device, shown);
  const standing = ring === undefined ? 'unheard' : standingOf(ring, publicKeyHash);
  const facts = { listener: 'gateway', ...device, fingerprint, address: request.ip } as const;
  if (standing === 'former') {
    const message = 'publicKey: neither the current key of the device nor its next one';
    gateway.refuse({ ...facts, code: 'third-key', message });
    throw new Problem(403, 'third-key', 'this certificate is not admitted here');
  }
  if (standing === 'unheard' && found === 'unknown') {
    const message = `certificate: ${serialNumber} is genuine, but not on the record of issued certificates`;
    gateway.refuse({ ...facts, code: 'unknown-device', message });
    throw new Problem(
      403,
      'unknown-device',
      'this certificate is not on record here; onboard again by the bootstrap certificate',
    );
  }
  if (standing === 'unheard' && ring?.current !== undefined) {
    const message = 'publicKey: nothing was heard yet of a certificate with this key';
    gateway.refuse({ ...facts, code: 'unavailable', message });
    throw new Problem(503, 'unavailable', 'this certificate is not known here yet; try again later', {
      retryAfter: UNHEARD_RETRY_SECONDS,
    });
  }
  return { device, ring, publicKeyHash };
}
