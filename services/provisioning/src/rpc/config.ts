import type { Subscription } from '@signet/bus';
import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import {
  changeGroup,
  createGroup,
  getLabels,
  labelDevice,
  listGroupDevices,
  listGroups,
  removeGroup,
} from '../domain/groups/groups.ts';
import { getLayer, getLayerLog, removeLayerFiles, setLayerFiles } from '../domain/layers/layers.ts';
import { listUpdateEvents, listUpdates } from '../domain/updates/reports.ts';

/** Operations on config, on the groups that share it, and on what devices report of updates. */
export function serveConfig(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.serve(operations.setDeviceConfig, (input) => setLayerFiles(ctx, input)),
    bus.serve(operations.deleteDeviceConfig, (input) => removeLayerFiles(ctx, input)),
    bus.serve(operations.getDeviceConfig, (input) => getLayer(ctx, input)),
    bus.serve(operations.getConfigLog, (input) => getLayerLog(ctx, input)),
    bus.serve(operations.createGroup, (input) => createGroup(ctx, input)),
    bus.serve(operations.listGroups, (input) => listGroups(ctx, input)),
    bus.serve(operations.removeGroup, (input) => removeGroup(ctx, input)),
    bus.serve(operations.listGroupDevices, (input) => listGroupDevices(ctx, input)),
    bus.serve(operations.changeGroup, (input) => changeGroup(ctx, input)),
    bus.serve(operations.labelDevice, (input) => labelDevice(ctx, input)),
    bus.serve(operations.getDeviceLabels, (input) => getLabels(ctx, input)),
    bus.serve(operations.listUpdates, (input) => listUpdates(ctx, input)),
    bus.serve(operations.listUpdateEvents, (input) => listUpdateEvents(ctx, input)),
  ]);
}
