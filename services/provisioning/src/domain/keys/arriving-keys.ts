import type { DeviceKey, SignetEvent } from '@signet/contracts';
import type { Change } from '@signet/store';
import {
  ANNOUNCED_LIMIT,
  announcedKey,
  isSeenLater,
  type KeyRing,
  KeyRingError,
  statusOf,
  type WaitingKey,
  withFormer,
  withNextWaiting,
  withoutEarly,
  withoutFormer,
  withoutNext,
  withoutWaiting,
  withWaiting,
} from './key-ring.ts';
import { droppedEvent, publicKeyChangeEvent, rotationEvent, seenEvent } from './rotation-events.ts';

type Step = Change<KeyRing> | undefined;

/**
 * An event told that a certificate was issued for a key, by an enrolment. The device's first key is current at once; a
 * later one waits as `next` for its first contact, so that a device which never got the answer keeps a usable key. The
 * event may be late: a certificate that was heard of before, or is older than what the ring holds, replaces nothing.
 */
export function addIssuedKey(ring: KeyRing, key: DeviceKey, now: number): Step {
  const { publicKeyHash, serialNumber } = key;
  const known = replaceCertificate(ring, key);
  if (known !== undefined || isHeld(ring, publicKeyHash)) return known;
  if (ring.former.some((former) => former.serialNumber === serialNumber)) return undefined;
  const announced = [ring.next, ...(ring.waiting ?? [])].flatMap((held) => held ?? []);
  if (ring.current === undefined && announced.every((held) => key.since < held.since)) {
    const first = { ...withoutFormer(ring, publicKeyHash), current: key, unread: true as const };
    return { document: withoutEarly(first, publicKeyHash) };
  }
  const isLate = [ring.current, ...announced].some((held) => held !== undefined && held.since > key.since);
  if (isLate) return { document: withFormer(ring, key) };
  const waiting = startRotation(ring, key, now);
  if (ring.early !== publicKeyHash) return waiting;
  const promoted = promoteOnContact(waiting.document, publicKeyHash, now);
  return promoted === undefined ? waiting : joinChanges(waiting, promoted);
}

/**
 * A key of the ring has a newer certificate. Any other key that a renewal brings is announced before the device has it:
 * where that failed, the device never got it.
 */
export function replaceCertificate(ring: KeyRing, key: DeviceKey): Step {
  const isOlder = (held: DeviceKey | undefined) =>
    held?.publicKeyHash === key.publicKeyHash && key.since > held.since;
  for (const slot of ['current', 'next'] as const)
    if (isOlder(ring[slot])) return { document: { ...ring, [slot]: key } };
  const { waiting = [] } = ring;
  if (!waiting.some(isOlder)) return undefined;
  return {
    document: withWaiting(
      ring,
      waiting.map((held) => (isOlder(held) ? { ...held, ...key } : held)),
    ),
  };
}

/**
 * Announces the next key. One that was announced before stays good beside it until one of them is seen: a client that
 * lost its answer, or its state, may come with either. The current key vouches for it, or an announced one where its
 * first contact is this very renewal.
 * @throws KeyRingError
 */
export function announceNext(
  ring: KeyRing,
  facts: { currentPublicKeyHash: string; next: DeviceKey; now: number },
): Step {
  const { currentPublicKeyHash, next, now } = facts;
  const status = statusOf(ring, currentPublicKeyHash);
  if (status === 'former') {
    throw new KeyRingError('third-key', `publicKey: ${ring.deviceId} came with a key that was replaced`);
  }
  if (status === 'unheard' && ring.current !== undefined) {
    throw new KeyRingError('unheard-key', `publicKey: nothing was heard yet of this key of ${ring.deviceId}`);
  }
  const seen = status === 'next' ? promoteOnContact(ring, currentPublicKeyHash, now) : undefined;
  const base = seen?.document ?? ring;
  if (!isHeld(base, next.publicKeyHash)) return joinChanges(seen, startRotation(base, next, now));
  const newer = replaceCertificate(base, next);
  return newer === undefined ? seen : joinChanges(seen, newer);
}

/** The certificate that a device came with, and where. */
export type Shown = Pick<DeviceKey, 'publicKeyHash' | 'serialNumber'> & {
  /** `flotta`: at the bootstrap service, which has told of it. */
  readonly at: 'broker' | 'gateway' | 'flotta';
};

/**
 * A verified contact with a key, as {@link promoteOnContact} has it; and that the device was seen with this one. The first
 * with each certificate is an event, once something was heard of the key.
 */
export function noteContact(ring: KeyRing, shown: Shown, now: number): Step {
  const { publicKeyHash, serialNumber, at } = shown;
  const status = statusOf(ring, publicKeyHash);
  if (status === 'former') return undefined;
  const step = promoteOnContact(ring, publicKeyHash, now);
  const isFirst = status !== 'unheard' && ring.seenCertificate !== serialNumber;
  const isLater = at === 'gateway' && isSeenLater(ring, now);
  if (!isFirst && !isLater && ring.seen === publicKeyHash) return step;
  const document = {
    ...(step?.document ?? ring),
    seen: publicKeyHash,
    ...(isFirst ? { seenCertificate: serialNumber } : {}),
    ...(isLater ? { gatewaySeenAt: new Date(now).toISOString() } : {}),
  };
  return joinChanges(step, {
    document,
    events: isFirst && at !== 'flotta' ? [seenEvent(ring, shown, now)] : [],
  });
}

/**
 * A verified contact with a key: the first with the next one promotes it. Losing the race is success. A contact with a
 * key that nothing was heard of is remembered, so that the key is promoted as soon as its certificate is heard of.
 */
export function promoteOnContact(ring: KeyRing, publicKeyHash: string, now: number): Step {
  const status = statusOf(ring, publicKeyHash);
  if (status === 'unheard' && ring.early !== publicKeyHash)
    return { document: { ...ring, early: publicKeyHash } };
  const seen = announcedKey(ring, publicKeyHash);
  if (seen === undefined || status !== 'next') return undefined;
  const promotedAt = new Date(now).toISOString();
  const rotating =
    ring.next?.publicKeyHash === publicKeyHash ? ring : resumeRotation(ring, publicKeyHash, now);
  const { publicKey, publicKeyHash: hash, serialNumber, since } = seen;
  const { ordered: _ordered, waiting: _waiting, ...rest } = withoutNext(ring);
  const { waiting: others = [] } = withoutWaiting(withNextWaiting(ring), publicKeyHash);
  const promoted: KeyRing = {
    ...withFormer(rest, ...others),
    ...{
      current: { publicKey, publicKeyHash: hash, serialNumber, since },
      promotedAt,
      unread: true as const,
    },
  };
  const document = withoutEarly(withSuperseded(promoted, ring.current, promotedAt), publicKeyHash);
  const events = [
    publicKeyChangeEvent(rotating, seen, now),
    rotationEvent('DEVICE_ROTATION_COMPLETED', rotating, now),
    ...droppedEvents(ring, others, now),
  ];
  return { document, events };
}

/** The ring with this waiting key as its next one. */
function resumeRotation(ring: KeyRing, publicKeyHash: string, now: number): KeyRing {
  const key = ring.waiting?.find((each) => each.publicKeyHash === publicKeyHash);
  if (key === undefined) return ring;
  const { rotationId, confirmedAt, ...next } = key;
  const rest = withNextWaiting(withoutWaiting(ring, publicKeyHash));
  const rotation = { id: rotationId, ...(confirmedAt === undefined ? {} : { confirmedAt }) };
  return { ...rest, next, rotation, rotatingSince: new Date(now).toISOString() };
}

/** The keys announced before stay good; of more than {@link ANNOUNCED_LIMIT}, the oldest is dropped and revoked. */
function startRotation(ring: KeyRing, next: DeviceKey, now: number): Change<KeyRing> {
  const id = ring.ordered?.rotationId ?? `key-${next.serialNumber}`;
  const { waiting = [], ...rest } = withNextWaiting(ring);
  const excess = Math.max(0, waiting.length + 1 - ANNOUNCED_LIMIT);
  const dropped = waiting.slice(0, excess);
  const kept = withWaiting(withFormer(rest, ...dropped), waiting.slice(excess));
  const document: KeyRing = {
    ...withoutFormer(kept, next.publicKeyHash),
    ...{ next, rotation: { id }, rotatingSince: new Date(now).toISOString() },
  };
  const events = [
    ...droppedEvents(ring, dropped, now),
    rotationEvent('DEVICE_ROTATION_STARTED', document, now),
  ];
  return { document, events };
}

/** Keys that another takes the place of: their certificates are revoked after these events. */
function droppedEvents(ring: KeyRing, keys: readonly WaitingKey[], now: number): SignetEvent[] {
  return keys.map((key) =>
    droppedEvent(ring, key, { by: ring.deviceId, reason: 'replaced', now, rotationId: key.rotationId }),
  );
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
  return ['current', 'next'].includes(statusOf(ring, publicKeyHash));
}

function joinChanges(first: Step, second: Change<KeyRing>): Change<KeyRing> {
  return { document: second.document, events: [...(first?.events ?? []), ...(second.events ?? [])] };
}
