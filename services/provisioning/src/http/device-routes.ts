import type { Device } from '@signet/contracts';
import { Problem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Context } from '../context.ts';
import type { DeviceName } from '../domain/devices/known-devices.ts';
import { confirmKey } from '../domain/rotation/device-keys.ts';
import { viewDevice } from '../domain/rotation/device-view.ts';
import { authenticate } from './authenticate.ts';
import { publicKeyHashOf } from './public-key.ts';

const PatchDevice = z.object({ next_pubkey: z.string().min(1, 'the SPKI in PEM').max(4096) });

/** `/device` of device-gateway.md: what the platform knows of the device, and the confirmation of its next key. */
export function deviceRoutes(app: FastifyInstance, ctx: Context): void {
  app.get('/device', async (request) => {
    const contact = await authenticate(request, ctx);
    const { keys, labels, groups, configVersion, configApplied, rotation, record } = await viewDevice(
      ctx,
      contact,
    );
    return {
      ...contact.device,
      ...fleetClientFields(contact.device, record, groups),
      ...keys,
      ...{ labels, groups, configVersion },
      ...(configApplied === undefined ? {} : { configApplied }),
      ...(rotation === undefined ? {} : { rotation }),
    };
  });

  app.patch('/device', async (request) => {
    const contact = await authenticate(request, ctx);
    const { next_pubkey } = PatchDevice.parse(request.body);
    const publicKeyHash = publicKeyHashOf('next_pubkey', next_pubkey);
    const confirmed = await confirmKey(ctx, { ...contact, publicKeyHash });
    if (confirmed !== undefined) return { next_pubkey: confirmed.publicKey };
    const detail = 'next_pubkey: no certificate was issued to this device for that key';
    throw new Problem(409, 'not-announced', detail, { field: 'next_pubkey' });
  });
}

/**
 * The members by which clients of FoundriesFactory know a device. `Name` is what aktualizr-lite reads, `name` what its
 * other tools do; a factory is an account here, and owns its devices.
 */
function fleetClientFields(
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
