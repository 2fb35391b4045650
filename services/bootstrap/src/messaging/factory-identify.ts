import type { Bus, Subscription } from '@signet/bus';
import { identifyDevice } from '@signet/contracts';
import type { Devices } from '../collections.ts';
import { byClaim } from '../domain/device/find-device.ts';
import { asOperationError } from './operation-errors.ts';

/** Which device is meant: what budgets are counted by. */
export async function serveIdentify(deps: {
  readonly bus: Bus;
  readonly devices: Devices;
}): Promise<Subscription> {
  return deps.bus.serve(identifyDevice, async (which) => {
    try {
      const { id, deviceSerialNumber } = await byClaim(deps.devices, which);
      return { fingerprint: id, deviceSerialNumber };
    } catch (error) {
      throw asOperationError(error);
    }
  });
}
