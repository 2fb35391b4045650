import type { Bus } from '@signet/bus';
import { departureOf, departureTypes, type SignetEvent } from '@signet/contracts';
import { isDuplicate } from '@signet/store';
import type { Collections } from '../collections.ts';
import { showSession, showSessionEnd } from '../domain/device/device-activity.ts';

/** Keeps the operators' view of devices: which are connected where, and which were refused why (F86). */
export async function consumeDeviceView(
  bus: Pick<Bus, 'consume'>,
  { activities, refusals }: Pick<Collections, 'activities' | 'refusals'>,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(
    await bus.consume(
      { durable: 'admin-api-activity', types: ['DEVICE_CONNECTED', 'DEVICE_DISCONNECTED'], ordered: true },
      async (event) => {
        const { account, subject, time } = event;
        if (event.type === 'DEVICE_CONNECTED') await showSession(activities, account, event.data, time);
        else if (event.type === 'DEVICE_DISCONNECTED')
          await showSessionEnd(activities, `${account}/${subject}`, event.data, time);
      },
    ),
  );
  stack.use(
    await bus.consume(
      { durable: 'admin-api-departures', types: [...departureTypes], ordered: true },
      async (event) => {
        const departure = departureOf(event);
        if (departure === undefined) return;
        const { account, deviceId, at } = departure;
        await activities.remove(`${account}/${deviceId}`, ({ since }) => since <= at);
      },
    ),
  );
  stack.use(
    await bus.consume(
      { durable: 'admin-api-refusals', types: ['BOOTSTRAP_REFUSED', 'ENROLLMENT_REFUSED', 'DEVICE_REFUSED'] },
      async (event) => {
        if (!isRefusal(event)) return;
        const { id, time, account, type, data } = event;
        try {
          await refusals.insert({ ...data, id, at: time, account, type });
        } catch (error) {
          if (!isDuplicate(error)) throw error;
        }
      },
    ),
  );
  return stack.move();
}

type RefusalEvent = SignetEvent<'BOOTSTRAP_REFUSED' | 'ENROLLMENT_REFUSED' | 'DEVICE_REFUSED'>;

function isRefusal(event: SignetEvent): event is RefusalEvent {
  return (
    event.type === 'BOOTSTRAP_REFUSED' ||
    event.type === 'ENROLLMENT_REFUSED' ||
    event.type === 'DEVICE_REFUSED'
  );
}
