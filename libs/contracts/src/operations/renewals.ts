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
