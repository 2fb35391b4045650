import type { Bus, Subscription } from '@signet/bus';
import { announceKey, getDeviceKeys, OperationError, type SignetEvent } from '@signet/contracts';
import type { Change, Collection, UpdateOptions } from '@signet/store';
import { revoked } from '../domain/rotation/end-rotation.ts';
import {
  emptyRing,
  type KeyRing,
  keyRingId,
  keyRingView,
  type RingIndex,
} from '../domain/rotation/key-ring.ts';
import { KeyRingError } from '../domain/rotation/key-ring-error.ts';
import { announced, contacted, issued, renewed, type Shown } from '../domain/rotation/rotation.ts';
import { upsert } from './upsert.ts';

export type Rings = Collection<KeyRing, RingIndex>;
type Deps = { bus: Bus; rings: Rings; now: () => number };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** Keys of devices: announced by renewals, learned from certificates, promoted by the first contact (F31, F38). */
export async function serveKeys({ bus, rings, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(announceKey, async ({ account, deviceId, currentPublicKeyHash, next }) => {
      const facts = { currentPublicKeyHash, next, now: now() };
      try {
        return keyRingView(await change(rings, account, deviceId, (ring) => announced(ring, facts)));
      } catch (error) {
        if (!(error instanceof KeyRingError)) throw error;
        const code = error.code === 'third-key' ? 'third-key' : 'unavailable';
        throw new OperationError(code, error.message, { cause: error });
      }
    }),
    await bus.serve(getDeviceKeys, async ({ account, deviceId }) => {
      const ring = await rings.get(keyRingId(account, deviceId));
      if (ring === undefined)
        throw new OperationError('unknown-device', `deviceId: no key of "${deviceId}" is known`);
      return keyRingView(ring);
    }),
    await bus.consume(
      {
        durable: 'provisioning-certificates',
        types: ['CERT_ISSUED', 'CERT_RENEWED', 'CERT_REVOKED'],
        ordered: true,
        maxDeliveries,
      },
      (event) => learn({ rings, now }, event),
    ),
    await bus.consume(
      { durable: 'provisioning-contacts', types: ['DEVICE_CONNECTED'], maxDeliveries },
      async ({ account, subject: deviceId, type, data }) => {
        if (type !== 'DEVICE_CONNECTED') return;
        const { publicKeyHash, serialNumber } = data;
        await contact({ rings, now }, { account, deviceId }, { publicKeyHash, serialNumber, at: 'broker' });
      },
    ),
    await bus.consume(
      { durable: 'provisioning-seen', types: ['DEVICE_SEEN'], maxDeliveries },
      async ({ account, subject: deviceId, type, source, data }) => {
        if (type !== 'DEVICE_SEEN' || source !== '/bootstrap') return;
        const { publicKeyHash, serialNumber } = data;
        await contact({ rings, now }, { account, deviceId }, { publicKeyHash, serialNumber, at: 'flotta' });
      },
    ),
  ];
}

/** What became of a certificate. Known events, again or late, change nothing. */
async function learn({ rings, now }: Omit<Deps, 'bus'>, event: SignetEvent): Promise<void> {
  const { id: appliedEvent, account, subject, type, time } = event;
  if (type === 'CERT_REVOKED') {
    const { serialNumber, reason } = event.data;
    await change(rings, account, subject, (ring) => revoked(ring, serialNumber, reason), { appliedEvent });
    return;
  }
  if (type !== 'CERT_ISSUED' && type !== 'CERT_RENEWED') return;
  const { publicKey, publicKeyHash, serialNumber } = event.data;
  const key = { publicKey, publicKeyHash, serialNumber, since: time };
  const step = (ring: KeyRing) => (type === 'CERT_ISSUED' ? issued(ring, key, now()) : renewed(ring, key));
  await change(rings, account, subject, step, { appliedEvent });
}

/** A verified contact of a device, at whichever listener. Gives the ring as it stands afterwards. */
export async function contact(
  { rings, now }: Pick<Deps, 'rings' | 'now'>,
  { account, deviceId }: { readonly account: string; readonly deviceId: string },
  shown: Shown,
): Promise<KeyRing | undefined> {
  const ring = await rings.get(keyRingId(account, deviceId));
  if (ring === undefined || contacted(ring, shown, now()) === undefined) return ring;
  return rings.update(ring.id, (current) => contacted(current, shown, now()));
}

/** Updates a device's ring, which is made when there is something to write in it for the first time. */
export function change(
  rings: Rings,
  account: string,
  deviceId: string,
  step: (ring: KeyRing) => Change<KeyRing> | undefined,
  options: UpdateOptions = {},
): Promise<KeyRing> {
  return upsert(rings, emptyRing(account, deviceId), step, options);
}
