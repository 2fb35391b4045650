import type { Device } from '@signet/contracts';
import { Problem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { announcedKey, keyRingView, rotationIdOf } from '../domain/rotation/key-ring.ts';
import { hashOfPem } from './config-routes.ts';
import type { DeviceName, Gateway } from './gateway.ts';
import { whoAsks } from './who.ts';

const PatchDevice = z.object({ next_pubkey: z.string().min(1, 'the SPKI in PEM').max(4096) });

/** `/device` of device-gateway.md: what the platform holds of the device, and the confirmation of its next key. */
export function deviceRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/device', async (request) => {
    const { device, ring } = await whoAsks(request, gateway);
    const [own, known, record] = await Promise.all([
      gateway.ownConfig(device),
      gateway.labelsOf(device),
      gateway.recordOf(device),
    ]);
    return {
      ...device,
      ...asFleetClientsReadIt(device, record, known.groups),
      ...(ring === undefined ? {} : keyRingView(ring)),
      ...known,
      configVersion: own?.version ?? 0,
      ...(own?.applied === undefined ? {} : { configApplied: own.applied }),
      ...(ring?.next === undefined ? {} : { rotation: rotationIdOf(ring) }),
    };
  });

  app.patch('/device', async (request) => {
    const { device, ring } = await whoAsks(request, gateway);
    const { next_pubkey } = PatchDevice.parse(request.body);
    const hash = hashOfPem('next_pubkey', next_pubkey);
    // The current one too: it was announced, and its first contact came before this confirmation.
    const announced =
      ring === undefined
        ? undefined
        : (announcedKey(ring, hash) ?? (ring.current?.publicKeyHash === hash ? ring.current : undefined));
    if (announced !== undefined) {
      await gateway.confirm(device, hash);
      return { next_pubkey: announced.publicKey };
    }
    const detail = 'next_pubkey: no certificate was issued to this device for that key';
    throw new Problem(409, 'not-announced', detail, { field: 'next_pubkey' });
  });
}

/**
 * The members by which clients of FoundriesFactory know a device. `Name` is what aktualizr-lite reads, `name` what its
 * other tools do; a factory is an account here, and owns its devices.
 */
function asFleetClientsReadIt(
  { account, deviceId }: DeviceName,
  record: Device | undefined,
  groups: readonly string[],
) {
  const name = record?.name ?? deviceId;
  const group = record?.group ?? groups[0];
  return {
    ...{ uuid: deviceId, name, Name: name, owner: account, factory: account },
    ...(group === undefined ? {} : { group }),
    ...(record === undefined ? {} : { 'created-at': record.claimedAt ?? record.manufacturedAt }),
  };
}
