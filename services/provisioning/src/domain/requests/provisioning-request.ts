import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Account, DeviceId, newEvent, Time } from '@signet/contracts';
import type { Change, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** After so many wrong passwords a request is locked for good; an operator makes a new one in its place. */
export const MAX_WRONG_PASSWORDS = 10;

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
  wrongPasswords: z.number().int().min(0),
  state: z.enum(['created', 'completed']),
  createdAt: Time,
});
export type ProvisioningRequest = z.infer<typeof ProvisioningRequest>;

export const provisioningRequests = {
  name: 'provisioning.requests',
  schema: ProvisioningRequest,
  indexes: { byDevice: { fields: ['deviceId', 'account'] } },
} as const satisfies CollectionSpec<ProvisioningRequest>;

const derive = promisify<string, string, number, Buffer>(scrypt);

/** Takes some 50 ms of another thread. */
export async function hashPassword(
  password: string,
  salt: string = randomBytes(16).toString('hex'),
): Promise<Pick<ProvisioningRequest, 'passwordHash' | 'salt'>> {
  return { passwordHash: (await derive(password, salt, 32)).toString('hex'), salt };
}

/** Whether both are right. Takes as long for a wrong user name as for a wrong password. */
export async function isPassword(
  { username, passwordHash, salt }: ProvisioningRequest,
  given: { readonly username: string; readonly password: string },
): Promise<boolean> {
  const hash = Buffer.from((await hashPassword(given.password, salt)).passwordHash, 'hex');
  return timingSafeEqual(hash, Buffer.from(passwordHash, 'hex')) && given.username === username;
}

export function isLocked({ wrongPasswords }: ProvisioningRequest): boolean {
  return wrongPasswords >= MAX_WRONG_PASSWORDS;
}

/** Counts an attempt with the right user name and a wrong password. */
export function countWrongPassword(request: ProvisioningRequest): Change<ProvisioningRequest> | undefined {
  if (isLocked(request)) return undefined;
  return { document: { ...request, wrongPasswords: request.wrongPasswords + 1 } };
}

/** The device has its bundle. Asking again gives it again; only the first time is an event. */
export function complete(request: ProvisioningRequest, now: number): Change<ProvisioningRequest> | undefined {
  if (request.state === 'completed') return undefined;
  const { account, deviceId, requestId } = request;
  const data = { deviceId, requestId };
  return {
    document: { ...request, state: 'completed' },
    events: [newEvent('DEVICE_PROVISIONED', { account, subject: deviceId, data, time: now })],
  };
}
