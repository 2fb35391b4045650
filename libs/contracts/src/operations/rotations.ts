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
  idempotent: true,
  input: PageRequest.extend({ account: Account, stalled: z.boolean().default(false) }),
  output: pageOf(Rotation),
  errors: [],
});

/**
 * Ends the rotation of a device: config is unlocked, and the announced key stays good until it is seen or its certificate
 * ends. With `revoke` every announced key is dropped and its certificate revoked; `confirmed` refuses that, without
 * `force`, once the device said that it has such a certificate: it may hold no other.
 */
export const cancelRotation = operation('provisioning.cancel-rotation', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    by: z.string(),
    revoke: z.boolean().default(false),
    force: z.boolean().default(false),
  }),
  output: z.object({
    rotationId: z.string(),
    revoked: z.array(z.string()).describe('Serial numbers of the certificates that are revoked'),
  }),
  errors: ['no-rotation', 'rotation-confirmed'],
});
