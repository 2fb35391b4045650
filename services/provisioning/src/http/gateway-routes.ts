import { createHash } from 'node:crypto';
import { ConfigFile } from '@signet/contracts';
import { decodePem, PkiError } from '@signet/pki';
import { Problem, peerOf, type RefusalFacts, refusalProblem } from '@signet/service';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { configBody, type DeviceConfig, isUnmodified, modifiedAt } from '../domain/config/device-config.ts';
import { type KeyRing, keyRingView, standingOf } from '../domain/rotation/key-ring.ts';
import { UpdateEvent } from '../domain/updates/update-event.ts';

/** What the gateway needs of the service. Devices are told apart by their certificate alone. */
export type Gateway = {
  /** Tells the service of a verified contact (it may promote the key), and gives the device's keys. */
  readonly contact: (
    account: string,
    deviceId: string,
    publicKeyHash: string,
  ) => Promise<KeyRing | undefined>;
  readonly readConfig: (account: string, deviceId: string) => Promise<DeviceConfig | undefined>;
  readonly writeConfig: (account: string, deviceId: string, files: ConfigFile[]) => Promise<void>;
  readonly reportUpdates: (account: string, deviceId: string, reports: UpdateEvent[]) => Promise<void>;
  readonly refuse: (facts: RefusalFacts) => void;
};

const PatchDevice = z.object({ next_pubkey: z.string().min(1, 'the SPKI in PEM') });
const PatchConfig = z.object({
  reason: z.string().max(256).default(''),
  files: z.array(ConfigFile).min(1).max(100),
});

const UpdateEvents = z.array(UpdateEvent).min(1).max(100);

/** How long a device waits that came before the event of its certificate, seconds. */
const UNHEARD_RETRY_SECONDS = 2;

/** The device gateway, first form of device-gateway.md: `/device`, `/config` and `/events` of the device that asks. */
export function gatewayRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/device', async (request) => {
    const { account, deviceId, ring } = await device(request, gateway);
    return ring === undefined ? { account, deviceId } : keyRingView(ring);
  });

  app.patch('/device', async (request) => {
    const { ring } = await device(request, gateway);
    const { next_pubkey } = PatchDevice.parse(request.body);
    const hash = hashOfPem(next_pubkey);
    // The current one too: it was announced, and its first contact came before this confirmation.
    const announced = [ring?.next, ring?.current].find((key) => key?.publicKeyHash === hash);
    if (announced !== undefined) return { next_pubkey: announced.publicKey };
    const detail = 'next_pubkey: no certificate was issued to this device for that key';
    throw new Problem(409, 'not-announced', detail, { field: 'next_pubkey' });
  });

  for (const path of ['/config', '/config-device']) {
    app.get(path, async (request, reply) => {
      const { account, deviceId, ring } = await device(request, gateway);
      const config = await gateway.readConfig(account, deviceId);
      if (config === undefined) return reply.status(204).send();
      const modified = modifiedAt(config, ring?.promotedAt);
      reply.header('date', new Date(modified).toUTCString());
      if (isUnmodified(request.headers['if-modified-since'], modified)) return reply.status(304).send();
      return reply.send(configBody(config.files));
    });
  }

  app.patch('/config', async (request, reply) => {
    const { account, deviceId } = await device(request, gateway);
    const { files } = PatchConfig.parse(request.body);
    await gateway.writeConfig(account, deviceId, files);
    return reply.status(201).send();
  });

  app.post('/events', async (request, reply) => {
    const { account, deviceId } = await device(request, gateway);
    await gateway.reportUpdates(account, deviceId, UpdateEvents.parse(request.body));
    return reply.status(200).send();
  });
}

/**
 * Whose request this is. A key that was replaced is refused (F38). One that nothing was heard of is told to come again
 * if the device has another: either its certificate's event arrives, or it is none of the device's and waits in vain.
 */
async function device(request: FastifyRequest, gateway: Gateway) {
  const peer = peerOf(request.raw.socket);
  if (peer?.account === undefined) throw refusalProblem('no-certificate');
  const { account, deviceId } = peer;
  const { publicKeyHash, fingerprint } = peer.facts;
  const ring = await gateway.contact(account, deviceId, publicKeyHash);
  const standing = ring === undefined ? 'unheard' : standingOf(ring, publicKeyHash);
  const facts = { listener: 'gateway', account, deviceId, fingerprint, address: request.ip } as const;
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
  return { account, deviceId, ring };
}

function hashOfPem(pem: string): string {
  try {
    return createHash('sha256').update(decodePem(pem, 'PUBLIC KEY')).digest('hex');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    const detail = `next_pubkey: ${cause.message}`;
    throw new Problem(400, 'invalid-input', detail, { field: 'next_pubkey', cause });
  }
}
