import { type DeviceKey, newEvent, type SignetEvent } from '@signet/contracts';
import type { Change } from '@signet/store';
import {
  type KeyRing,
  rotationIdOf,
  standingOf,
  withFormer,
  withoutEarly,
  withoutFormer,
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
  const { next, current, ...rest } = ring;
  if (next === undefined || standing !== 'next') return undefined;
  const promotedAt = new Date(now).toISOString();
  const document = withoutEarly(withFormer({ ...rest, current: next, promotedAt }, current), publicKeyHash);
  const events = [publicKeyChange(ring, next, now), rotation('DEVICE_ROTATION_COMPLETED', ring, next, now)];
  return { document, events };
}

/** A certificate was revoked. A next key that can no longer be seen ends its rotation; else the ring is as it was. */
export function revoked(ring: KeyRing, serialNumber: string): Step {
  const { next, ...rest } = ring;
  return next?.serialNumber === serialNumber ? { document: withFormer(rest, next) } : undefined;
}

function started(ring: KeyRing, next: DeviceKey, now: number): Change<KeyRing> {
  const document = { ...withoutFormer(withFormer(ring, ring.next), next.publicKeyHash), next };
  return { document, events: [rotation('DEVICE_ROTATION_STARTED', ring, next, now)] };
}

function isHeld(ring: KeyRing, publicKeyHash: string): boolean {
  return ['current', 'next'].includes(standingOf(ring, publicKeyHash));
}

function joined(first: Step, second: Change<KeyRing>): Change<KeyRing> {
  return { document: second.document, events: [...(first?.events ?? []), ...(second.events ?? [])] };
}

function rotation(
  type: 'DEVICE_ROTATION_STARTED' | 'DEVICE_ROTATION_COMPLETED',
  { account, deviceId }: KeyRing,
  next: DeviceKey,
  now: number,
): SignetEvent {
  const data = { deviceId, rotationId: rotationIdOf(next) };
  return newEvent(type, { account, subject: deviceId, time: now, data });
}

function publicKeyChange({ account, deviceId, current }: KeyRing, next: DeviceKey, now: number): SignetEvent {
  return newEvent('DEVICE_PUBKEY_CHANGE', {
    account,
    subject: deviceId,
    time: now,
    data: {
      deviceId,
      NewPubKey: next.publicKey,
      newSerialNumber: next.serialNumber,
      newPublicKeyHash: next.publicKeyHash,
      rotationId: rotationIdOf(next),
      ...(current === undefined
        ? {}
        : { OldPubKey: current.publicKey, oldPublicKeyHash: current.publicKeyHash }),
    },
  });
}
