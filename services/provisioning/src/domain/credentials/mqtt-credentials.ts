import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Account, DeviceId, Fingerprint, Time } from '@signet/contracts';
import type { Change, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** So many hand-overs may go unanswered before the credentials of the first of them are void. */
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

export const mqttCredentials = {
  name: 'provisioning.mqtt-credentials',
  schema: MqttCredentials,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<MqttCredentials>;

export type UserAndPassword = { readonly username: string; readonly password: string };

/** 96 random bits of user name, 256 of password. */
export function randomCredentials(): UserAndPassword {
  return { username: randomBytes(12).toString('hex'), password: randomBytes(32).toString('base64url') };
}

/** The device's credentials with these among them. Earlier ones stay until later ones are used. */
export function withCredentials(
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

/** Whether both are right, of one and the same hand-over. */
export function areCredentials(held: MqttCredentials, given: UserAndPassword): boolean {
  return placeOf(held, given) >= 0;
}

/** The device uses these: what was given before them is void. Undefined where nothing was. */
export function used(held: MqttCredentials, given: UserAndPassword): Change<MqttCredentials> | undefined {
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
