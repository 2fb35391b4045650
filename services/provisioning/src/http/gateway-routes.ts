import { createHash } from 'node:crypto';
import { ConfigFile, type DeviceKeys } from '@signet/contracts';
import { decodePem } from '@signet/pki';
import { Problem, peerOf, type RefusalFacts, refusalProblem } from '@signet/service';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { configBody, type DeviceConfig, isUnmodified } from '../domain/device-config.ts';
import type { KeyRing } from '../domain/key-ring.ts';

/** What the gateway needs of the service. Devices are told apart by their certificate alone. */
export type Gateway = {
  /** Tells the service of a verified contact (it may promote the key), and gives the device's keys. */
  readonly contact: (
    account: string,
    deviceId: string,
    publicKeyHash: string,
  ) => Promise<KeyRing | undefined>;
  readonly view: (ring: KeyRing) => DeviceKeys;
  readonly readConfig: (account: string, deviceId: string) => Promise<DeviceConfig | undefined>;
  readonly writeConfig: (account: string, deviceId: string, files: ConfigFile[]) => Promise<void>;
  readonly refuse: (facts: RefusalFacts) => void;
};

const PatchDevice = z.object({ next_pubkey: z.string().min(1, 'next_pubkey: the SPKI in PEM') });
const PatchConfig = z.object({
  reason: z.string().max(256).default(''),
  files: z.array(ConfigFile).min(1).max(100),
});

/** The device gateway, first form of device-gateway.md: `/device` and `/config` of the device that asks. */
export function gatewayRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/device', async (request) => {
    const { account, deviceId, ring } = await device(request, gateway);
    return ring === undefined ? { account, deviceId } : gateway.view(ring);
  });

  app.patch('/device', async (request) => {
    const { ring } = await device(request, gateway);
    const { next_pubkey } = PatchDevice.parse(request.body);
    const next = ring?.next;
    if (next === undefined || next.publicKeyHash !== hashOfPem(next_pubkey)) {
      throw new Problem(
        409,
        'not-announced',
        'next_pubkey: no certificate was issued to this device for that key',
        {
          field: 'next_pubkey',
        },
      );
    }
    return { next_pubkey: next.publicKey };
  });

  for (const path of ['/config', '/config-device']) {
    app.get(path, async (request, reply) => {
      const { account, deviceId } = await device(request, gateway);
      const config = await gateway.readConfig(account, deviceId);
      if (config === undefined) return reply.status(204).send();
      reply.header('date', new Date(config.changedAt).toUTCString());
      if (isUnmodified(request.headers['if-modified-since'], config.changedAt))
        return reply.status(304).send();
      return reply.send(configBody(config.files));
    });
  }

  app.patch('/config', async (request, reply) => {
    const { account, deviceId } = await device(request, gateway);
    const { files } = PatchConfig.parse(request.body);
    await gateway.writeConfig(account, deviceId, files);
    return reply.status(201).send();
  });
}

/** Whose request this is. A key that is neither the device's current nor its next one is refused (F38). */
async function device(request: FastifyRequest, gateway: Gateway) {
  const peer = peerOf(request.raw.socket);
  if (peer?.account === undefined) throw refusalProblem('no-certificate');
  const { account, deviceId } = peer;
  const { publicKeyHash, fingerprint } = peer.facts;
  const ring = await gateway.contact(account, deviceId, publicKeyHash);
  const known = [ring?.current?.publicKeyHash, ring?.next?.publicKeyHash];
  if (ring?.current !== undefined && !known.includes(publicKeyHash)) {
    const message = 'publicKey: neither the current key of the device nor its next one';
    gateway.refuse({
      listener: 'gateway',
      code: 'third-key',
      message,
      account,
      deviceId,
      fingerprint,
      address: request.ip,
    });
    throw new Problem(403, 'third-key', 'this certificate is not admitted here');
  }
  return { account, deviceId, ring };
}

function hashOfPem(pem: string): string {
  return createHash('sha256').update(decodePem(pem, 'PUBLIC KEY')).digest('hex');
}
