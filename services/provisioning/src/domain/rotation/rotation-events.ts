import { type DeviceKey, newEvent, type SignetEvent } from '@signet/contracts';
import { type KeyRing, rotationIdOf } from './key-ring.ts';

/** A rotation begins, or is through. */
export function rotationEvent(
  type: 'DEVICE_ROTATION_STARTED' | 'DEVICE_ROTATION_COMPLETED',
  ring: KeyRing,
  now: number,
): SignetEvent {
  const { account, deviceId } = ring;
  const data = { deviceId, rotationId: rotationIdOf(ring) ?? '' };
  return newEvent(type, { account, subject: deviceId, time: now, data });
}

/** A next key is dropped, by an operator or for another; its certificate is revoked after it. */
export function droppedEvent(
  ring: KeyRing,
  { serialNumber, publicKeyHash }: DeviceKey,
  facts: { readonly by: string; readonly reason: 'cancelled' | 'replaced'; readonly now: number },
): SignetEvent {
  const { account, deviceId } = ring;
  const { by, reason, now } = facts;
  const data = { deviceId, rotationId: rotationIdOf(ring) ?? '', serialNumber, publicKeyHash, by, reason };
  return newEvent('DEVICE_ROTATION_CANCELLED', { account, subject: deviceId, time: now, data });
}

/** The device has another key from now on. */
export function publicKeyChangeEvent(ring: KeyRing, next: DeviceKey, now: number): SignetEvent {
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
