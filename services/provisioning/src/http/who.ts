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
 * Whose request this is. A key that was replaced is refused (F38). One that nothing was heard of is told to come again
 * if the device has another: either its certificate's event arrives, or it is none of the device's and waits in vain.
 */
export async function whoAsks(request: FastifyRequest, gateway: Gateway): Promise<Asking> {
  const peer = peerOf(request.raw.socket);
  if (peer?.account === undefined) throw refusalProblem('no-certificate');
  const device = { account: peer.account, deviceId: peer.deviceId };
  const { publicKeyHash, fingerprint } = peer.facts;
  const ring = await gateway.contact(device, publicKeyHash);
  const standing = ring === undefined ? 'unheard' : standingOf(ring, publicKeyHash);
  const facts = { listener: 'gateway', ...device, fingerprint, address: request.ip } as const;
  if (standing === 'former') {
    const message = 'publicKey: neither the current key of the device nor its next one';
    gateway.refuse({ ...facts, code: 'third-key', message });
    throw new Problem(403, 'third-key', 'this certificate is not admitted here');
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
