import type { Bus, Subscription } from '@signet/bus';
import { claimDevice, getDevice, listDevices, OperationError } from '@signet/contracts';
import { type Collection, StoreError } from '@signet/store';
import { BootstrapError } from '../domain/device/bootstrap-error.ts';
import { type DeviceIndex, type DeviceRecord, deviceView } from '../domain/device/device-record.ts';
import { claim } from '../domain/device/transitions.ts';
import { asOperationError } from './operation-errors.ts';

type Devices = Collection<DeviceRecord, DeviceIndex>;
type Deps = { bus: Bus; devices: Devices; now: () => number };

/** Claims, and what operators ask of devices. */
export async function serveDevices({ bus, devices, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(claimDevice, async ({ fingerprint, ...facts }) => {
      try {
        return deviceView(
          await devices.update(fingerprint, (record) => claim(record, { ...facts, now: now() })),
        );
      } catch (error) {
        throw asClaimError(error, facts.deviceId);
      }
    }),
    await bus.serve(listDevices, async ({ account, state, group, cursor, limit }) => {
      const page = await devices.find({
        ...(group !== undefined
          ? { index: 'byGroup', equals: { account, group } }
          : state !== undefined
            ? { index: 'byState', equals: { account, state } }
            : { index: 'byAccount', equals: { account } }),
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = page.items
        .filter((record) => state === undefined || record.state === state)
        .map(deviceView);
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(getDevice, async ({ account, deviceId, fingerprint }) => {
      const record =
        fingerprint !== undefined
          ? await devices.get(fingerprint)
          : await byDeviceId(devices, account, deviceId ?? '');
      if (record === undefined || !isVisible(record, account)) {
        throw new OperationError('unknown-device', `device: account "${account}" has no such device`);
      }
      return deviceView(record);
    }),
  ];
}

export async function byDeviceId(
  devices: Devices,
  account: string,
  deviceId: string,
): Promise<DeviceRecord | undefined> {
  const page = await devices.find({ index: 'byAccount', equals: { account, deviceId }, limit: 1 });
  return page.items[0];
}

/** An account sees the devices that it claimed, and the unclaimed ones that it made. */
export function isVisible(record: DeviceRecord, account: string): boolean {
  return record.account === account || (record.account === undefined && record.factoryAccount === account);
}

function asClaimError(error: unknown, deviceId: string | undefined): unknown {
  if (error instanceof StoreError && error.code === 'not-found') {
    return asOperationError(
      new BootstrapError(
        'unknown-device',
        'fingerprint: no device with this fingerprint was made',
        'fingerprint',
      ),
    );
  }
  if (error instanceof StoreError && error.code === 'duplicate') {
    const which = deviceId === undefined ? 'its device id' : `"${deviceId}"`;
    const message = `deviceId: ${which} is taken in this account; claim it under another`;
    return asOperationError(new BootstrapError('device-id-taken', message, 'deviceId'));
  }
  return asOperationError(error);
}
