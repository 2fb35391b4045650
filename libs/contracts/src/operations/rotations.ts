import { z } from 'zod';
import { Account, DeviceId, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/** A rotation that is under way: a next key is announced, and waits for its first contact. */
export const Rotation = z.object({
  deviceId: DeviceId,
  rotationId: z.string(),
  since: Time.describe('When the next key was announced'),
  confirmedAt: Time.optional().describe('When the device said that it has the certificate'),
  stalled: z.boolean().describe('Whether it waits for longer than it should'),
  serialNumber: z.string().describe('Serial number of the next certificate'),
});
export type Rotation = z.infer<typeof Rotation>;

/** Rotations that are under way, the oldest first. */
export const listRotations = operation('provisioning.list-rotations', {
  input: PageRequest.extend({ account: Account, stalled: z.boolean().default(false) }),
  output: pageOf(Rotation),
  errors: [],
});

/** Drops the next key of a device and revokes its certificate; the device goes on with the current one. */
export const cancelRotation = operation('provisioning.cancel-rotation', {
  input: z.object({ account: Account, deviceId: DeviceId, by: z.string() }),
  output: z.object({ rotationId: z.string() }),
  errors: ['no-rotation'],
});
