import { type DeviceKey, newEvent, type SignetEvent } from '@signet/contracts';
import type { Change } from '@signet/store';
import { type KeyRing, rotationIdOf, standingOf, withFormer, withoutFormer } from './key-ring.ts';

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
 * An event told that a certificate was issued for a key. The device's first key is current at once; a later one waits
 * as `next` for its first contact, so that a device which never got the answer keeps a usable key. Known keys get their
 * newer certificate. The event may be late: a certificate that was heard of before, or is older than what the ring
 * holds, replaces nothing.
 */
export function issued(ring: KeyRing, key: DeviceKey, now: number): Step {
  const { publicKeyHash, serialNumber } = key;
  const standing = standingOf(ring, publicKeyHash);
  if (standing === 'current' || standing === 'next') return renewed(ring, standing, key);
  if (ring.former.some((former) => former.serialNumber === serialNumber)) return undefined;
  if (ring.current === undefined) return { document: withoutEarly({ ...ring, current: key }, publicKeyHash) };
  const isLate = [ring.current, ring.next].some((held) => held !== undefined && held.since > key.since);
  if (isLate) return { document: withFormer(ring, key) };
  const waiting = started(ring, key, now);
  if (ring.early !== publicKeyHash) return waiting;
  const promoted = firstContact(waiting.document, publicKeyHash, now);
  return promoted === undefined ? waiting : joined(waiting, promoted);
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
  const known = standingOf(base, next.publicKeyHash);
  if (known !== 'current' && known !== 'next') return joined(seen, started(base, next, now));
  const newer = renewed(base, known, next);
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

function renewed(ring: KeyRing, slot: 'current' | 'next', key: DeviceKey): Step {
  return key.since > (ring[slot]?.since ?? '') ? { document: { ...ring, [slot]: key } } : undefined;
}

function withoutEarly(ring: KeyRing, publicKeyHash: string): KeyRing {
  if (ring.early !== publicKeyHash) return ring;
  const { early: _early, ...rest } = ring;
  return rest;
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
