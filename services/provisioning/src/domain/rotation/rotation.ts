import { type DeviceKey, newEvent, type RevocationReason, type SignetEvent } from '@signet/contracts';
import type { Change } from '@signet/store';
import {
  type KeyRing,
  rotationIdOf,
  standingOf,
  withFormer,
  withoutEarly,
  withoutFormer,
  withoutNext,
} from './key-ring.ts';

type Step = Change<KeyRing> | undefined;

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

/**
 * An event told that a certificate was issued for a key, by an enrolment. The device's first key is current at once; a
 * later one waits as `next` for its first contact, so that a device which never got the answer keeps a usable key. The
 * event may be late: a certificate that was heard of before, or is older than what the ring holds, replaces nothing.
 */
export function issued(ring: KeyRing, key: DeviceKey, now: number): Step {
  const { publicKeyHash, serialNumber } = key;
  const known = renewed(ring, key);
  if (known !== undefined || isHeld(ring, publicKeyHash)) return known;
  if (ring.former.some((former) => former.serialNumber === serialNumber)) return undefined;
  if (ring.current === undefined && (ring.next === undefined || key.since < ring.next.since)) {
    const first = { ...withoutFormer(ring, publicKeyHash), current: key };
    return { document: withoutEarly(first, publicKeyHash) };
  }
  const isLate = [ring.current, ring.next].some((held) => held !== undefined && held.since > key.since);
  if (isLate) return { document: withFormer(ring, key) };
  const waiting = started(ring, key, now);
  if (ring.early !== publicKeyHash) return waiting;
  const promoted = firstContact(waiting.document, publicKeyHash, now);
  return promoted === undefined ? waiting : joined(waiting, promoted);
}

/**
 * A key of the ring has a newer certificate. Any other key that a renewal brings is announced before the device has it:
 * where that failed, the device never got it.
 */
export function renewed(ring: KeyRing, key: DeviceKey): Step {
  for (const slot of ['current', 'next'] as const) {
    const held = ring[slot];
    if (held?.publicKeyHash === key.publicKeyHash && key.since > held.since)
      return { document: { ...ring, [slot]: key } };
  }
  return undefined;
}

/**
 * Announces the next key; a later announcement replaces an earlier one. The current key vouches for it, or the next one
 * itself where its first contact is this very renewal.
 * @throws KeyRingError
 */
export function announced(
  ring: KeyRing,
  facts: { currentPublicKeyHash: string; next: DeviceKey; now: number },
): Step {
  const { currentPublicKeyHash, next, now } = facts;
  const standing = standingOf(ring, currentPublicKeyHash);
  if (standing === 'former') {
    throw new KeyRingError('third-key', `publicKey: ${ring.deviceId} came with a key that was replaced`);
  }
  if (standing === 'unheard' && ring.current !== undefined) {
    throw new KeyRingError('unheard-key', `publicKey: nothing was heard yet of this key of ${ring.deviceId}`);
  }
  const seen = standing === 'next' ? firstContact(ring, currentPublicKeyHash, now) : undefined;
  const base = seen?.document ?? ring;
  if (!isHeld(base, next.publicKeyHash)) return joined(seen, started(base, next, now));
  const newer = renewed(base, next);
  return newer === undefined ? seen : joined(seen, newer);
}

/**
 * A verified contact with a key: the first with the next one promotes it. Losing the race is success. A contact with a
 * key that nothing was heard of is remembered, so that the key is promoted as soon as its certificate is heard of.
 */
export function firstContact(ring: KeyRing, publicKeyHash: string, now: number): Step {
  const standing = standingOf(ring, publicKeyHash);
  if (standing === 'unheard' && ring.early !== publicKeyHash)
    return { document: { ...ring, early: publicKeyHash } };
  const { next, current } = ring;
  if (next === undefined || standing !== 'next') return undefined;
  const promotedAt = new Date(now).toISOString();
  const { ordered: _ordered, ...rest } = withoutNext(ring);
  const promoted: KeyRing = { ...rest, current: next, promotedAt, unread: true };
  const document = withoutEarly(withSuperseded(promoted, current, promotedAt), publicKeyHash);
  const events = [publicKeyChange(ring, next, now), rotation('DEVICE_ROTATION_COMPLETED', ring, now)];
  return { document, events };
}

/** The device says itself that it has the certificate of its announced key (`PATCH /device`). */
export function confirmed(ring: KeyRing, publicKeyHash: string, now: number): Step {
  const id = rotationIdOf(ring);
  if (id === undefined || ring.next?.publicKeyHash !== publicKeyHash) return undefined;
  if (ring.rotation?.confirmedAt !== undefined) return undefined;
  return { document: { ...ring, rotation: { id, confirmedAt: new Date(now).toISOString() } } };
}

/** The device read its config with its new key. */
export function reread(ring: KeyRing): Step {
  if (ring.unread === undefined) return undefined;
  const { unread: _unread, ...document } = ring;
  return { document };
}

/** An operator orders a rotation; a later order takes the place of an earlier one that was not begun. */
export function ordered(ring: KeyRing, rotationId: string, now: number): Step {
  if (ring.ordered?.rotationId === rotationId) return undefined;
  return { document: { ...ring, ordered: { rotationId, at: new Date(now).toISOString() } } };
}

/** Drops the next key, whose certificate is revoked after it. The current one is as good as before. */
export function cancelled(ring: KeyRing, facts: { readonly by: string; readonly now: number }): Step {
  const { next } = ring;
  const { ordered: _ordered, ...rest } = withoutNext(ring);
  if (next === undefined) return ring.ordered === undefined ? undefined : { document: rest };
  return {
    document: withFormer(rest, next),
    events: [dropped(ring, next, { ...facts, reason: 'cancelled' })],
  };
}

/**
 * A certificate was revoked. A next key that can no longer be seen ends its rotation. One that was superseded and is
 * revoked for another reason has no grace any more. Else the ring is as it was.
 */
export function revoked(ring: KeyRing, serialNumber: string, reason: RevocationReason = 'superseded'): Step {
  const { next, former } = ring;
  if (next?.serialNumber === serialNumber) return { document: withFormer(withoutNext(ring), next) };
  const had = former.some((key) => key.serialNumber === serialNumber && key.supersededAt !== undefined);
  if (reason === 'superseded' || !had) return undefined;
  const without = former.map(({ supersededAt, ...key }) =>
    key.serialNumber === serialNumber || supersededAt === undefined ? key : { ...key, supersededAt },
  );
  return { document: { ...ring, former: without } };
}

/** A next key that another takes the place of is dropped, and its certificate revoked after it. */
function started(ring: KeyRing, next: DeviceKey, now: number): Change<KeyRing> {
  const replaced = ring.next;
  const id = ring.ordered?.rotationId ?? `key-${next.serialNumber}`;
  const document: KeyRing = {
    ...withoutFormer(withFormer(withoutNext(ring), replaced), next.publicKeyHash),
    ...{ next, rotation: { id }, rotatingSince: new Date(now).toISOString() },
  };
  const begun = rotation('DEVICE_ROTATION_STARTED', document, now);
  if (replaced === undefined) return { document, events: [begun] };
  return {
    document,
    events: [dropped(ring, replaced, { by: ring.deviceId, reason: 'replaced', now }), begun],
  };
}

/** The former keys with this one, superseded now. */
function withSuperseded(ring: KeyRing, key: DeviceKey | undefined, supersededAt: string): KeyRing {
  const { former, ...rest } = withFormer(ring, key);
  return {
    ...rest,
    former: former.map((each) =>
      each.serialNumber === key?.serialNumber ? { ...each, supersededAt } : each,
    ),
  };
}

function isHeld(ring: KeyRing, publicKeyHash: string): boolean {
  return ['current', 'next'].includes(standingOf(ring, publicKeyHash));
}

function joined(first: Step, second: Change<KeyRing>): Change<KeyRing> {
  return { document: second.document, events: [...(first?.events ?? []), ...(second.events ?? [])] };
}

function rotation(
  type: 'DEVICE_ROTATION_STARTED' | 'DEVICE_ROTATION_COMPLETED',
  ring: KeyRing,
  now: number,
): SignetEvent {
  const { account, deviceId } = ring;
  const data = { deviceId, rotationId: rotationIdOf(ring) ?? '' };
  return newEvent(type, { account, subject: deviceId, time: now, data });
}

function dropped(
  ring: KeyRing,
  { serialNumber, publicKeyHash }: DeviceKey,
  facts: { readonly by: string; readonly reason: 'cancelled' | 'replaced'; readonly now: number },
): SignetEvent {
  const { account, deviceId } = ring;
  const { by, reason, now } = facts;
  const data = { deviceId, rotationId: rotationIdOf(ring) ?? '', serialNumber, publicKeyHash, by, reason };
  return newEvent('DEVICE_ROTATION_CANCELLED', { account, subject: deviceId, time: now, data });
}

function publicKeyChange(ring: KeyRing, next: DeviceKey, now: number): SignetEvent {
  const { account, deviceId, current } = ring;
  return newEvent('DEVICE_PUBKEY_CHANGE', {
    account,
    subject: deviceId,
    time: now,
    data: {
      deviceId,
      NewPubKey: next.publicKey,
      newSerialNumber: next.serialNumber,
      newPublicKeyHash: next.publicKeyHash,
      rotationId: rotationIdOf(ring) ?? '',
      ...(current === undefined
        ? {}
        : { OldPubKey: current.publicKey, oldPublicKeyHash: current.publicKeyHash }),
    },
  });
}
