import type { Bus, Subscription } from '@signet/bus';
import { identifyDevices, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { Devices } from '../collections.ts';
import { byDeviceId, byFingerprint } from '../domain/device/find-device.ts';

/** Tells other services who devices are that they know by one name only. */
export async function serveIdentities(deps: {
  readonly bus: Bus;
  readonly devices: Devices;
}): Promise<Subscription> {
  const { bus, devices } = deps;
  return bus.serve(identifyDevices, async ({ account, deviceIds, fingerprints }) => {
    const found = await Promise.all([
      ...fingerprints.map((fingerprint) => byFingerprint(devices, fingerprint)),
      ...(account === undefined ? [] : deviceIds.map((deviceId) => byDeviceId(devices, account, deviceId))),
    ]);
    return {
      devices: found.flatMap((record) =>
        record === undefined
          ? []
          : [
              {
                deviceId: record.deviceId,
                fingerprint: record.id,
                factoryAccount: record.factoryAccount ?? PLATFORM_ACCOUNT,
                ...(record.account === undefined ? {} : { account: record.account }),
                ...(record.claimedAt === undefined ? {} : { claimedAt: record.claimedAt }),
                ...(record.group === undefined ? {} : { group: record.group }),
                ...(record.groupState === undefined ? {} : { groupPending: record.groupState === 'pending' }),
              },
            ],
      ),
    };
  });
}
