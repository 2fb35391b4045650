import type { Subscription } from '@signet/bus';
import { departureOf, departureTypes } from '@signet/contracts';
import type { Context } from '../context.ts';
import { voidCredentials } from '../domain/credentials/mqtt-credentials.ts';
import { clearDevice } from '../domain/departure/clear-device.ts';
import { joinClaimedDevice } from '../domain/groups/membership.ts';
import { noteDeviceProgress } from '../domain/requests/requests.ts';
import { maxDeliveries } from './patience.ts';

/** What it sets off that a device is claimed, goes on with its provisioning, or leaves its account. */
export function consumeDeviceEvents(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.consume(
      { durable: 'provisioning-claims', types: ['DEVICE_CLAIMED'], maxDeliveries },
      async (event) => {
        if (event.type === 'DEVICE_CLAIMED') await joinClaimedDevice(ctx, event);
      },
    ),
    bus.consume(
      {
        durable: 'provisioning-requests',
        types: ['DEVICE_CONFIG_APPLIED', 'DEVICE_CONNECTED'],
        maxDeliveries,
      },
      async (event) => {
        if (event.type === 'DEVICE_CONFIG_APPLIED' || event.type === 'DEVICE_CONNECTED')
          await noteDeviceProgress(ctx, event);
      },
    ),
    bus.consume(
      { durable: 'provisioning-departures', types: [...departureTypes], ordered: true, maxDeliveries },
      async (event) => {
        const { account, subject: deviceId, time: at } = event;
        const departure = departureOf(event);
        if (departure !== undefined) await clearDevice(ctx, departure);
        else if (event.type === 'DEVICE_RESET') await voidCredentials(ctx, { account, deviceId, at });
      },
    ),
  ]);
}
