import type { Bus, Subscription } from '@signet/bus';
import { identifyDevices } from '@signet/contracts';
import type { Collection } from '@signet/store';
import type { DeviceIndex, DeviceRecord } from '../domain/device/device-record.ts';

/** Tells other services who devices are that they know by one name only. */
export async function serveIdentities(deps: {
  readonly bus: Bus;
  readonly devices: Collection<DeviceRecord, DeviceIndex>;
}): Promise<Subscription> {
  const { bus, devices } = deps;
  return bus.serve(identifyDevices, async ({ account, deviceIds, fingerprints }) => {
    const found = await Promise.all([
      ...fingerprints.map((fingerprint) => devices.get(fingerprint)),
      ...(account === undefined ? [] : deviceIds).map(async (deviceId) => {
        const { items } = await devices.find({
          index: 'byAccount',
          equals: { account: account ?? '', deviceId },
          limit: 1,
        });
        return items[0];
      }),
    ]);
    return {
      devices: found.flatMap((record) =>
        record === undefined
          ? []
          : [
              {
                deviceId: record.deviceId,
                fingerprint: record.id,
                factoryAccount: record.factoryAccount,
                ...(record.account === undefined ? {} : { account: record.account }),
              },
            ],
      ),
    };
  });
}
