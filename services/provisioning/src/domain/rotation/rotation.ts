import type { DeviceKey } from '@signet/contracts';
import type { Change } from '@signet/store';
import {
  type KeyRing,
  standingOf,
  withFormer,
  withoutEarly,
  withoutFormer,
  withoutNext,
} from './key-ring.ts';
import { KeyRingError } from './key-ring-error.ts';
import { droppedEvent, publicKeyChangeEvent, rotationEvent } from './rotation-events.ts';

type Step = Change<KeyRing> | undefined;

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
  const events = [
    publicKeyChangeEvent(ring, next, now),
    rotationEvent('DEVICE_ROTATION_COMPLETED', ring, now),
  ];
  return { document, events };
}

/** A next key that another takes the place of is dropped, and its certificate revoked after it. */
function started(ring: KeyRing, next: DeviceKey, now: number): Change<KeyRing> {
  const replaced = ring.next;
  const id = ring.ordered?.rotationId ?? `key-${next.serialNumber}`;
  const document: KeyRing = {
    ...withoutFormer(withFormer(withoutNext(ring), replaced), next.publicKeyHash),
    ...{ next, rotation: { id }, rotatingSince: new Date(now).toISOString() },
  };
  const begun = rotationEvent('DEVICE_ROTATION_STARTED', document, now);
  if (replaced === undefined) return { document, events: [begun] };
  return {
    document,
    events: [droppedEvent(ring, replaced, { by: ring.deviceId, reason: 'replaced', now }), begun],
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
