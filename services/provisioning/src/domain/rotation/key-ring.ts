import {
  Account,
  DeviceId,
  DeviceKey,
  type DeviceKeys,
  Fingerprint,
  SerialNumber,
  Time,
} from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';

const FORMER_LIMIT = 16;

/** The keys of one device. The id is `<account>/<device>`. */
export const KeyRing = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  /** In use. */
  current: DeviceKey.optional(),
  /** Announced, not seen yet. */
  next: DeviceKey.optional(),
  /** Replaced, or revoked before they were seen; the newest last. Refused, unless they get another certificate. */
  former: z.array(
    z.object({
      publicKeyHash: Fingerprint,
      serialNumber: SerialNumber,
      /** When the key after it was promoted; absent where it ended in another way. */
      supersededAt: Time.optional(),
    }),
  ),
  /** SHA-256 of a key that a verified contact came with before any word of its certificate. */
  early: Fingerprint.optional(),
  promotedAt: Time.optional(),
  /** The device has not read its config since its key was promoted. */
  unread: z.literal(true).optional(),
  /** A rotation that an operator ordered, and that is not announced yet or under way. */
  ordered: z.object({ rotationId: z.string(), at: Time }).optional(),
  /** The rotation to `next`. */
  rotation: z.object({ id: z.string(), confirmedAt: Time.optional() }).optional(),
  /** Since when `next` waits for its first contact. */
  rotatingSince: Time.optional(),
});
export type KeyRing = z.infer<typeof KeyRing>;

export const keyRings = {
  name: 'provisioning.key-rings',
  schema: KeyRing,
  indexes: {
    byAccount: { fields: ['account', 'deviceId'] },
    rotating: { fields: ['account', 'rotatingSince'] },
  },
} as const satisfies CollectionSpec<KeyRing>;
export type RingIndex = keyof typeof keyRings.indexes;

/** For so long after a promotion the certificate before it may still say how the rotation went. */
const GRACE_MS = 600_000;

export function isLatelySuperseded({ former }: KeyRing, serialNumber: string, now: number): boolean {
  const { supersededAt } = former.find((key) => key.serialNumber === serialNumber) ?? {};
  return supersededAt !== undefined && now < Date.parse(supersededAt) + GRACE_MS;
}

export function keyRingId(account: string, deviceId: string): string {
  return `${account}/${deviceId}`;
}

export function emptyRing(account: string, deviceId: string): KeyRing {
  return { id: keyRingId(account, deviceId), account, deviceId, former: [] };
}

export function keyRingView({ account, deviceId, current, next }: KeyRing): DeviceKeys {
  return {
    account,
    deviceId,
    ...(current === undefined ? {} : { current }),
    ...(next === undefined ? {} : { next }),
  };
}

/**
 * What a key is to a device. `unheard`: its certificate is good, but nothing was heard of it yet, as in the moment
 * between an enrolment and its event.
 */
export type Standing = 'current' | 'next' | 'former' | 'unheard';

export function standingOf(ring: KeyRing, publicKeyHash: string): Standing {
  if (ring.current?.publicKeyHash === publicKeyHash) return 'current';
  if (ring.next?.publicKeyHash === publicKeyHash) return 'next';
  return ring.former.some((key) => key.publicKeyHash === publicKeyHash) ? 'former' : 'unheard';
}

/** The ring with these keys among the former ones. */
export function withFormer(ring: KeyRing, ...keys: readonly (DeviceKey | undefined)[]): KeyRing {
  const added = keys.flatMap((key) =>
    key === undefined ? [] : [{ publicKeyHash: key.publicKeyHash, serialNumber: key.serialNumber }],
  );
  const serials = new Set(added.map(({ serialNumber }) => serialNumber));
  const kept = ring.former.filter(({ serialNumber }) => !serials.has(serialNumber));
  const former = [...kept, ...added].slice(-FORMER_LIMIT);
  return added.reduce((all, { publicKeyHash }) => withoutEarly(all, publicKeyHash), { ...ring, former });
}

/** The ring with this key no longer among the former ones, as it has a new certificate. */
export function withoutFormer(ring: KeyRing, publicKeyHash: string): KeyRing {
  return { ...ring, former: ring.former.filter((key) => key.publicKeyHash !== publicKeyHash) };
}

/** Names the rotation that is under way: as it was ordered, or else by the serial number of the next certificate. */
export function rotationIdOf({ rotation, next }: KeyRing): string | undefined {
  return next === undefined ? undefined : (rotation?.id ?? `key-${next.serialNumber}`);
}

/** The ring without a next key, and without what was known of the rotation to it. */
export function withoutNext(ring: KeyRing): KeyRing {
  const { next: _next, rotation: _rotation, rotatingSince: _since, ...rest } = ring;
  return rest;
}

/** The ring that no longer remembers an early contact with this key. */
export function withoutEarly(ring: KeyRing, publicKeyHash: string): KeyRing {
  if (ring.early !== publicKeyHash) return ring;
  const { early: _early, ...rest } = ring;
  return rest;
}
