import {
  Account,
  DeviceId,
  DeviceKey,
  type DeviceKeys,
  Fingerprint,
  SerialNumber,
  Time,
} from '@signet/contracts';
import type { Collection } from '@signet/store';
import { z } from 'zod';

const FORMER_LIMIT = 16;

/** Keys that are announced at a time; a further announcement retires the oldest (device-gateway.md, "Keys"). */
export const ANNOUNCED_LIMIT = 4;

/** A key that was announced before `next`, or whose rotation an operator cancelled. */
const WaitingKey = DeviceKey.extend({
  rotationId: z.string(),
  /** When the device said that it has the certificate. */
  confirmedAt: Time.optional(),
});
export type WaitingKey = z.infer<typeof WaitingKey>;

/** The keys of one device. The id is `<account>/<device>`. */
export const KeyRing = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  /** In use. */
  current: DeviceKey.optional(),
  /** Announced last, not seen yet: it holds the config. */
  next: DeviceKey.optional(),
  /** Announced too and not seen yet, the oldest first. They are accepted and hold nothing. */
  waiting: z.array(WaitingKey).max(ANNOUNCED_LIMIT).optional(),
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
  /** SHA-256 of the key of the last verified contact. */
  seen: Fingerprint.optional(),
  /** Serial number of the certificate of the last contact of which `DEVICE_SEEN` told. */
  seenCertificate: SerialNumber.optional(),
  /** When the device was last seen at the gateway; it is written again after {@link SEEN_GRAIN_MS}. */
  gatewaySeenAt: Time.optional(),
  /** The device has not read its config since it got its first key, or a new one was promoted. */
  unread: z.literal(true).optional(),
  /** A rotation that an operator ordered, and that is not announced yet or under way. */
  ordered: z.object({ rotationId: z.string(), at: Time }).optional(),
  /** The rotation to `next`. */
  rotation: z.object({ id: z.string(), confirmedAt: Time.optional() }).optional(),
  /** Since when `next` waits for its first contact. */
  rotatingSince: Time.optional(),
});
export type KeyRing = z.infer<typeof KeyRing>;

export type KeyRings = Collection<KeyRing, 'byAccount' | 'rotating'>;

/** Devices poll often: that they did is written once in so long. */
const SEEN_GRAIN_MS = 900_000;

/** Whether a contact with the gateway at `now` changes when the device was last seen there. */
export function isSeenLater({ gatewaySeenAt }: KeyRing, now: number): boolean {
  return gatewaySeenAt === undefined || now >= Date.parse(gatewaySeenAt) + SEEN_GRAIN_MS;
}

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

export function keyRingView(ring: KeyRing): DeviceKeys {
  const { account, deviceId, current, next, waiting, seen, gatewaySeenAt } = ring;
  return {
    account,
    deviceId,
    ...(current === undefined ? {} : { current }),
    ...(next === undefined ? {} : { next }),
    ...(seen === undefined ? {} : { seen }),
    ...(gatewaySeenAt === undefined ? {} : { gatewaySeenAt }),
    ...(waiting === undefined
      ? {}
      : { waiting: waiting.map(({ rotationId: _id, confirmedAt: _at, ...key }) => key) }),
  };
}

/**
 * What a key is to a device. `unheard`: its certificate is good, but nothing was heard of it yet, as in the moment
 * between an enrolment and its event.
 */
export type KeyStatus = 'current' | 'next' | 'former' | 'unheard';

export function statusOf(ring: KeyRing, publicKeyHash: string): KeyStatus {
  if (ring.current?.publicKeyHash === publicKeyHash) return 'current';
  if (announcedKey(ring, publicKeyHash) !== undefined) return 'next';
  return ring.former.some((key) => key.publicKeyHash === publicKeyHash) ? 'former' : 'unheard';
}

/** The key of this hash, if it is announced and not seen yet. */
export function announcedKey({ next, waiting = [] }: KeyRing, publicKeyHash: string): DeviceKey | undefined {
  return [next, ...waiting].find((key) => key?.publicKeyHash === publicKeyHash);
}

/** The ring with these keys waiting, in place of those that do. */
export function withWaiting(ring: KeyRing, waiting: readonly WaitingKey[]): KeyRing {
  const { waiting: _waiting, ...rest } = ring;
  return waiting.length === 0 ? rest : { ...rest, waiting: [...waiting] };
}

export function withoutWaiting(ring: KeyRing, publicKeyHash: string): KeyRing {
  return withWaiting(
    ring,
    (ring.waiting ?? []).filter((key) => key.publicKeyHash !== publicKeyHash),
  );
}

/** The ring whose next key holds nothing any more: it waits beside the others for its first contact. */
export function withNextWaiting(ring: KeyRing): KeyRing {
  const { next, rotation, waiting = [] } = ring;
  if (next === undefined) return ring;
  const confirmed = rotation?.confirmedAt === undefined ? {} : { confirmedAt: rotation.confirmedAt };
  const entry = { ...next, rotationId: rotationIdOf(ring) ?? '', ...confirmed };
  return withWaiting(withoutNext(ring), [...waiting, entry]);
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

/**
 * Why a key may not announce another. `third-key`: it was replaced. `unheard-key`: nothing was heard of it yet, which
 * passes: ask again.
 */
export class KeyRingError extends Error {
  override readonly name = 'KeyRingError';
  readonly code: 'third-key' | 'unheard-key';

  constructor(code: KeyRingError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
