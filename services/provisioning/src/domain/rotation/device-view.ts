import type { Device, DeviceKeys, getDeviceLabels, OperationOutput } from '@signet/contracts';
import type { DeviceContact } from '../config/device-access.ts';
import type { DeviceConfig, DeviceConfigs } from '../config/device-config.ts';
import type { Memberships } from '../config/readers.ts';
import { type Asks, findRecord, idOf } from '../devices/known-devices.ts';
import type { LabelRecords } from '../groups/group.ts';
import { readLabels } from '../groups/groups.ts';
import { keyRingView, rotationIdOf } from '../keys/key-ring.ts';

/** What the platform knows of a device, for the device itself. */
export type DeviceView = OperationOutput<typeof getDeviceLabels> & {
  readonly keys: DeviceKeys | undefined;
  readonly configVersion: number;
  readonly configApplied: DeviceConfig['applied'];
  /** The rotation in progress. */
  readonly rotation: string | undefined;
  /** What `bootstrap` has on record; undefined where it has nothing, or does not answer in time. */
  readonly record: Device | undefined;
};

export async function viewDevice(
  ctx: Asks & {
    readonly configs: DeviceConfigs;
    readonly labels: LabelRecords;
    readonly members: Memberships;
  },
  { device, ring }: DeviceContact,
): Promise<DeviceView> {
  const [own, known, record] = await Promise.all([
    ctx.configs.get(idOf(device)),
    readLabels(ctx, device),
    findRecord(ctx, device),
  ]);
  return {
    ...known,
    keys: ring === undefined ? undefined : keyRingView(ring),
    configVersion: own?.version ?? 0,
    configApplied: own?.applied,
    rotation: ring === undefined ? undefined : rotationIdOf(ring),
    record,
  };
}
