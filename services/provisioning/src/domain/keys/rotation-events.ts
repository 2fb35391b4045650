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

/** A rotation is cancelled by an operator, or its key dropped for newer ones; a dropped key's certificate is revoked. */
export function droppedEvent(
  ring: KeyRing,
  { serialNumber, publicKeyHash }: DeviceKey,
  facts: {
    readonly by: string;
    readonly reason: 'cancelled' | 'replaced';
    readonly now: number;
    readonly rotationId?: string;
    /** The rotation is cancelled and the key stays good: its certificate is not revoked. */
    readonly keyKept?: true;
  },
): SignetEvent {
  const { account, deviceId } = ring;
  const { now, rotationId = rotationIdOf(ring) ?? '', ...rest } = facts;
  const data = { deviceId, rotationId, serialNumber, publicKeyHash, ...rest };
  return newEvent('DEVICE_ROTATION_CANCELLED', { account, subject: deviceId, time: now, data });
}

/** The device came with this certificate for the first time. */
export function seenEvent(
  { account, deviceId }: KeyRing,
  { serialNumber, publicKeyHash }: Pick<DeviceKey, 'serialNumber' | 'publicKeyHash'>,
  now: number,
): SignetEvent {
  const data = { deviceId, serialNumber, publicKeyHash };
  return newEvent('DEVICE_SEEN', { account, subject: deviceId, time: now, data });
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
