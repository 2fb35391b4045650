import { Account, DeviceId, DeviceKey, type DeviceKeys, newEvent, type SignetEvent } from '@signet/contracts';
import type { Change, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** The keys of one device: `current` is in use, `next` is announced and not yet seen. The id is `<account>/<device>`. */
export const KeyRing = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  current: DeviceKey.optional(),
  next: DeviceKey.optional(),
});
export type KeyRing = z.infer<typeof KeyRing>;

export const keyRings = {
  name: 'provisioning.key-rings',
  schema: KeyRing,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<KeyRing>;

export function keyRingId(account: string, deviceId: string): string {
  return `${account}/${deviceId}`;
}

export function emptyRing(account: string, deviceId: string): KeyRing {
  return { id: keyRingId(account, deviceId), account, deviceId };
}

export function keyRingView({ account, deviceId, current, next }: KeyRing): DeviceKeys {
  return {
    account,
    deviceId,
    ...(current === undefined ? {} : { current }),
    ...(next === undefined ? {} : { next }),
  };
}

/** The announcement came with a key that is neither the device's current key nor its next one. */
export class ThirdKeyError extends Error {
  override readonly name = 'ThirdKeyError';
  readonly code = 'third-key';
}

/**
 * A key that a certificate was issued for. The first one becomes current; a later one waits as `next` for its first
 * contact, so that a device which never got the answer keeps a usable key. Known keys get their newer certificate.
 */
export function issued(ring: KeyRing, key: DeviceKey): Change<KeyRing> | undefined {
  if (ring.current?.publicKeyHash === key.publicKeyHash) return renewed(ring, 'current', key);
  if (ring.next?.publicKeyHash === key.publicKeyHash) return renewed(ring, 'next', key);
  return { document: ring.current === undefined ? { ...ring, current: key } : { ...ring, next: key } };
}

function renewed(ring: KeyRing, slot: 'current' | 'next', key: DeviceKey): Change<KeyRing> | undefined {
  const isNewer = key.since > (ring[slot]?.since ?? '');
  return isNewer ? { document: { ...ring, [slot]: key } } : undefined;
}

/**
 * Announces the next key; a later announcement replaces an earlier one. The old key vouches for it, or the next key
 * itself where its first contact is this very renewal.
 * @throws ThirdKeyError
 */
export function announced(
  ring: KeyRing,
  facts: { currentPublicKeyHash: string; next: DeviceKey; now: number },
): Change<KeyRing> | undefined {
  const isNext = ring.next?.publicKeyHash === facts.currentPublicKeyHash;
  if (ring.current !== undefined && ring.current.publicKeyHash !== facts.currentPublicKeyHash && !isNext) {
    throw new ThirdKeyError(
      `publicKey: ${ring.deviceId} presented a key that is neither its current nor its next one`,
    );
  }
  const seen = isNext ? firstContact(ring, facts.currentPublicKeyHash, facts.now) : undefined;
  const document = seen?.document ?? ring;
  if (document.next?.publicKeyHash === facts.next.publicKeyHash && seen === undefined) return undefined;
  return { document: { ...document, next: facts.next }, events: seen?.events ?? [] };
}

/** The first contact with the next key promotes it. Losing the race is success: nothing changes. */
export function firstContact(ring: KeyRing, publicKeyHash: string, now: number): Change<KeyRing> | undefined {
  const { next, current, ...rest } = ring;
  if (next === undefined || next.publicKeyHash !== publicKeyHash) return undefined;
  return { document: { ...rest, current: next }, events: [publicKeyChange(ring, next, now)] };
}

function publicKeyChange(ring: KeyRing, next: DeviceKey, now: number): SignetEvent {
  return newEvent('DEVICE_PUBKEY_CHANGE', {
    account: ring.account,
    subject: ring.deviceId,
    time: now,
    data: {
      deviceId: ring.deviceId,
      NewPubKey: next.publicKey,
      newSerialNumber: next.serialNumber,
      newPublicKeyHash: next.publicKeyHash,
      ...(ring.current === undefined
        ? {}
        : { OldPubKey: ring.current.publicKey, oldPublicKeyHash: ring.current.publicKeyHash }),
    },
  });
}
