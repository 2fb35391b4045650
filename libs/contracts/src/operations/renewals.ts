import { z } from 'zod';
import { Account, DeviceId, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';

/** Lets one device renew once with a certificate that has expired, however long ago. A later grant replaces an earlier one. */
export const grantExpiredRenewal = operation('est-ca.grant-expired-renewal', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    hours: z.number().int().min(1).max(8760).default(72).describe('How long the device has to use it'),
    by: z.string(),
  }),
  output: z.object({ account: Account, deviceId: DeviceId, expiresAt: Time }),
  errors: ['unknown-device'],
});

/**
 * An operator ordered a device to rotate: until `expiresAt` what it holds now renews outside the window of its profile,
 * and the order is the approval that the profile may want. The latest order of a device counts.
 */
export const orderRenewal = operation('est-ca.order-renewal', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    rotationId: z.string().min(1).max(128),
    expiresAt: Time,
    by: z.string(),
  }),
  output: z.object({}),
  errors: [],
});

/** Takes an order back; without `rotationId` whichever the device has. Repeating it changes nothing. */
export const withdrawRenewal = operation('est-ca.withdraw-renewal', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    rotationId: z.string().min(1).max(128).optional(),
  }),
  output: z.object({}),
  errors: [],
});
