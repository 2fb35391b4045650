import type { Bus, Subscription } from '@signet/bus';
import { departureOf, departureTypes, type SignetEvent } from '@signet/contracts';
import { type Collection, StoreError } from '@signet/store';
import { connected, type DeviceActivity, disconnected, succeeded } from '../domain/device-activity.ts';
import { REFUSAL_RETENTION, type RefusalRecord } from '../domain/refusal-record.ts';

type Deps = {
  bus: Bus;
  activities: Collection<DeviceActivity>;
  refusals: Collection<RefusalRecord, 'byAccount' | 'byDevice' | 'byFingerprint'>;
};

/** Keeps the operators' view of devices: who is connected where, and who was refused why (F86). */
export async function project({ bus, activities, refusals }: Deps): Promise<Subscription[]> {
  return [
    await bus.consume(
      { durable: 'admin-api-activity', types: ['DEVICE_CONNECTED', 'DEVICE_DISCONNECTED'], ordered: true },
      (event) => followSession(activities, event),
    ),
    await bus.consume(
      { durable: 'admin-api-departures', types: [...departureTypes], ordered: true },
      async (event) => {
        const departure = departureOf(event);
        if (departure === undefined) return;
        const { account, deviceId, at } = departure;
        const known = await activities.get(`${account}/${deviceId}`);
        if (known !== undefined && known.since <= at) await activities.remove(known.id);
      },
    ),
    await bus.consume(
      { durable: 'admin-api-refusals', types: ['BOOTSTRAP_REFUSED', 'ENROLLMENT_REFUSED', 'DEVICE_REFUSED'] },
      async (event) => {
        if (!isRefusal(event)) return;
        const { id, time, account, type, data } = event;
        await insertOnce(refusals, { ...data, id, at: time, account, type });
      },
    ),
  ];
}

/** Removes refusals that are older than their retention. */
export async function purgeRefusals(refusals: Deps['refusals'], now: number): Promise<void> {
  const before = new Date(now - REFUSAL_RETENTION).toISOString();
  for (;;) {
    const { items } = await refusals.find({ limit: 1000 });
    const old = items.filter((refusal) => refusal.at < before);
    await Promise.all(old.map(({ id }) => refusals.remove(id)));
    if (old.length < items.length || items.length === 0) return;
  }
}

async function followSession(activities: Deps['activities'], event: SignetEvent): Promise<void> {
  if (event.type === 'DEVICE_CONNECTED') {
    const activity = connected(event.account, event.data, event.time);
    if (!(await insertOnce(activities, activity))) {
      await activities.update(activity.id, (current) => succeeded(current, activity));
    }
  } else if (event.type === 'DEVICE_DISCONNECTED') {
    const { account, subject, data, time } = event;
    const id = `${account}/${subject}`;
    if ((await activities.get(id)) !== undefined) {
      await activities.update(id, (current) => disconnected(current, data, time));
    }
  }
}

async function insertOnce<T extends { id: string }>(
  collection: Collection<T>,
  document: T,
): Promise<boolean> {
  try {
    await collection.insert(document);
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'duplicate') return false;
    throw error;
  }
}

type RefusalEvent = SignetEvent<'BOOTSTRAP_REFUSED' | 'ENROLLMENT_REFUSED' | 'DEVICE_REFUSED'>;

function isRefusal(event: SignetEvent): event is RefusalEvent {
  return (
    event.type === 'BOOTSTRAP_REFUSED' ||
    event.type === 'ENROLLMENT_REFUSED' ||
    event.type === 'DEVICE_REFUSED'
  );
}
