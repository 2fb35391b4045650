import type { Bus, Subscription } from '@signet/bus';
import { identifyDevice, OperationError } from '@signet/contracts';
import type { Collection } from '@signet/store';
import type { DeviceIndex, DeviceRecord } from '../domain/device/device-record.ts';
import { identify } from '../domain/factory/identify.ts';

/** Which device is meant: what budgets are counted by. */
export async function serveIdentify(deps: {
  readonly bus: Bus;
  readonly devices: Collection<DeviceRecord, DeviceIndex>;
}): Promise<Subscription> {
  return deps.bus.serve(identifyDevice, async (which) => {
    const found = await identify(deps.devices, which);
    if ('code' in found) throw new OperationError(found.code, found.message);
    return { fingerprint: found.id, deviceSerialNumber: found.deviceSerialNumber };
  });
}
