import { scryptSync, timingSafeEqual } from 'node:crypto';
import { Account, DeviceId, newEvent, Time } from '@signet/contracts';
import type { Change, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** What an operator prepared for one device: who may ask for its bundle over MQTT. The id is `<account>/<device>`. */
export const ProvisioningRequest = z.object({
  id: z.string(),
  requestId: z.string(),
  account: Account,
  deviceId: DeviceId,
  username: z.string(),
  /** scrypt of the password, hex; the password itself is never kept. */
  passwordHash: z.string(),
  salt: z.string(),
  state: z.enum(['created', 'completed']),
  createdAt: Time,
});
export type ProvisioningRequest = z.infer<typeof ProvisioningRequest>;

export const provisioningRequests = {
  name: 'provisioning.requests',
  schema: ProvisioningRequest,
  indexes: { byDevice: { fields: ['deviceId', 'account'] } },
} as const satisfies CollectionSpec<ProvisioningRequest>;

export function hashPassword(password: string, salt: string): string {
  return scryptSync(password, salt, 32).toString('hex');
}

export function isPassword(request: ProvisioningRequest, username: string, password: string): boolean {
  const hash = Buffer.from(hashPassword(password, request.salt), 'hex');
  return timingSafeEqual(hash, Buffer.from(request.passwordHash, 'hex')) && username === request.username;
}

/** The device has its bundle. Asking again gives it again; only the first time is an event. */
export function complete(request: ProvisioningRequest, now: number): Change<ProvisioningRequest> | undefined {
  if (request.state === 'completed') return undefined;
  const data = { deviceId: request.deviceId, requestId: request.requestId };
  return {
    document: { ...request, state: 'completed' },
    events: [
      newEvent('DEVICE_PROVISIONED', {
        account: request.account,
        subject: request.deviceId,
        data,
        time: now,
      }),
    ],
  };
}
