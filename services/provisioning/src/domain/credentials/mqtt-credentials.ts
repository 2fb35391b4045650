import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Account, DeviceId, Fingerprint, OperationError, Time } from '@signet/contracts';
import { type Change, type Collection, insertIfAbsent } from '@signet/store';
import { z } from 'zod';
import { type DeviceName, idOf } from '../devices/known-devices.ts';
import { ifPresent } from '../documents/documents.ts';

/** So many handoffs may go unanswered before the credentials of the first of them are void. */
const KEPT = 4;

/** The MQTT credentials of one device, the newest last. The id is `<account>/<device>`. */
export const MqttCredentials = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  issued: z.array(
    z.object({
      username: z.string(),
      /** SHA-256 of a password of 256 random bits: there is nothing to guess, so nothing to make slow. */
      passwordHash: Fingerprint,
      issuedAt: Time,
    }),
  ),
});
export type MqttCredentials = z.infer<typeof MqttCredentials>;

export type CredentialRecords = Collection<MqttCredentials, 'byAccount'>;

export type UserAndPassword = { readonly username: string; readonly password: string };

/** New MQTT credentials of a device, for its handoff (F21). They are told once; the hash of the password is kept. */
export async function createCredentials(
  { credentials, now }: { readonly credentials: CredentialRecords; readonly now: () => number },
  { account, deviceId }: DeviceName,
): Promise<UserAndPassword> {
  const given = randomCredentials();
  const id = idOf({ account, deviceId });
  await insertIfAbsent(credentials, { id, account, deviceId, issued: [] });
  await credentials.update(id, (held) => addCredentials(held, given, now()));
  return given;
}

/** The broker checks the credentials of a device at CONNECT. @throws OperationError `wrong-password` */
export async function checkCredentials(
  { credentials }: { readonly credentials: CredentialRecords },
  { account, deviceId, ...given }: DeviceName & UserAndPassword,
): Promise<Record<string, never>> {
  const held = await credentials.get(idOf({ account, deviceId }));
  if (held === undefined || !matchesCredentials(held, given))
    throw new OperationError('wrong-password', `username: wrong user name or password for "${deviceId}"`);
  await credentials.update(held.id, (current) => dropOlder(current, given));
  return {};
}

/** Voids the credentials that a device had at `at`, as its certificates are void. */
export async function voidCredentials(
  { credentials }: { readonly credentials: CredentialRecords },
  { at, ...device }: DeviceName & { readonly at: string },
): Promise<void> {
  await ifPresent(
    credentials.update(idOf(device), (held) => {
      const issued = held.issued.filter(({ issuedAt }) => issuedAt > at);
      return issued.length === held.issued.length ? undefined : { document: { ...held, issued } };
    }),
  );
}

/** 96 random bits of user name, 256 of password. */
function randomCredentials(): UserAndPassword {
  return { username: randomBytes(12).toString('hex'), password: randomBytes(32).toString('base64url') };
}

/** The device's credentials with these among them. Earlier ones stay until later ones are used. */
function addCredentials(
  held: MqttCredentials,
  { username, password }: UserAndPassword,
  now: number,
): Change<MqttCredentials> {
  const added = {
    username,
    passwordHash: hashOf(password).toString('hex'),
    issuedAt: new Date(now).toISOString(),
  };
  return { document: { ...held, issued: [...held.issued, added].slice(-KEPT) } };
}

/** Whether both are right, of one and the same handoff. */
function matchesCredentials(held: MqttCredentials, given: UserAndPassword): boolean {
  return placeOf(held, given) >= 0;
}

/** The device uses these: what was given before them is void. Undefined where nothing was. */
function dropOlder(held: MqttCredentials, given: UserAndPassword): Change<MqttCredentials> | undefined {
  const place = placeOf(held, given);
  return place > 0 ? { document: { ...held, issued: held.issued.slice(place) } } : undefined;
}

function placeOf({ issued }: MqttCredentials, { username, password }: UserAndPassword): number {
  const hash = hashOf(password);
  return issued.findIndex(
    (each) => each.username === username && timingSafeEqual(hash, Buffer.from(each.passwordHash, 'hex')),
  );
}

function hashOf(password: string): Buffer {
  return createHash('sha256').update(password).digest();
}
