import type { Bus, Subscription } from '@signet/bus';
import { announceKey, type DeviceKey, getDeviceKeys, OperationError } from '@signet/contracts';
import { type Change, type Collection, StoreError } from '@signet/store';
import {
  announced,
  emptyRing,
  firstContact,
  issued,
  type KeyRing,
  keyRingId,
  keyRingView,
  ThirdKeyError,
} from '../domain/key-ring.ts';

type Rings = Collection<KeyRing>;
type Deps = { bus: Bus; rings: Rings; now: () => number };

/** Keys of devices: announced by renewals, learned from certificates, promoted by the first contact (F31, F38). */
export async function serveKeys({ bus, rings, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(announceKey, async ({ account, deviceId, currentPublicKeyHash, next }) => {
      try {
        const facts = { currentPublicKeyHash, next, now: now() };
        return keyRingView(await change(rings, account, deviceId, (ring) => announced(ring, facts)));
      } catch (error) {
        throw error instanceof ThirdKeyError
          ? new OperationError(error.code, error.message, { cause: error })
          : error;
      }
    }),
    await bus.serve(getDeviceKeys, async ({ account, deviceId }) => {
      const ring = await rings.get(keyRingId(account, deviceId));
      if (ring === undefined)
        throw new OperationError('unknown-device', `deviceId: no key of "${deviceId}" is known`);
      return keyRingView(ring);
    }),
    await bus.consume(
      { durable: 'provisioning-certificates', types: ['CERT_ISSUED', 'CERT_RENEWED'], ordered: true },
      async ({ account, subject, data }) => {
        if (!('publicKey' in data)) return;
        const { publicKey, publicKeyHash, serialNumber, notBefore } = data;
        const key: DeviceKey = { publicKey, publicKeyHash, serialNumber, since: notBefore };
        await change(rings, account, subject, (ring) => issued(ring, key));
      },
    ),
    await bus.consume(
      { durable: 'provisioning-contacts', types: ['DEVICE_CONNECTED'] },
      async ({ account, subject, data }) => {
        if ('publicKeyHash' in data) await contact({ rings, now }, account, subject, data.publicKeyHash);
      },
    ),
  ];
}

/** A verified contact with a device's key, at whichever door. Gives the ring as it stands afterwards. */
export async function contact(
  { rings, now }: Pick<Deps, 'rings' | 'now'>,
  account: string,
  deviceId: string,
  publicKeyHash: string,
): Promise<KeyRing | undefined> {
  const ring = await rings.get(keyRingId(account, deviceId));
  if (ring?.next?.publicKeyHash !== publicKeyHash) return ring;
  return rings.update(ring.id, (current) => firstContact(current, publicKeyHash, now()));
}

/** Updates a device's ring, which is made when its first key is heard of. */
async function change(
  rings: Rings,
  account: string,
  deviceId: string,
  step: (ring: KeyRing) => Change<KeyRing> | undefined,
): Promise<KeyRing> {
  const id = keyRingId(account, deviceId);
  if ((await rings.get(id)) === undefined) {
    const first = step(emptyRing(account, deviceId));
    if (first === undefined) return emptyRing(account, deviceId);
    try {
      await rings.insert(first.document, first.events);
      return first.document;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
    }
  }
  return rings.update(id, step);
}
