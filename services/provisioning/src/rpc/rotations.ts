import type { Subscription } from '@signet/bus';
import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import {
  changeCampaign,
  getCampaign,
  listCampaignDevices,
  listCampaigns,
  startCampaign,
} from '../domain/campaigns/campaigns.ts';
import { announceKey, getKeys } from '../domain/rotation/device-keys.ts';
import { cancelRotation, listRotations } from '../domain/rotation/rotations.ts';

/** Operations on the keys of devices, their rotations, and campaigns of rotations. */
export function serveRotations(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.serve(operations.announceKey, (input) => announceKey(ctx, input)),
    bus.serve(operations.getDeviceKeys, (input) => getKeys(ctx, input)),
    bus.serve(operations.listRotations, (input) => listRotations(ctx, input)),
    bus.serve(operations.cancelRotation, (input) => cancelRotation(ctx, input)),
    bus.serve(operations.startCampaign, (input) => startCampaign(ctx, input)),
    bus.serve(operations.getCampaign, (input) => getCampaign(ctx, input)),
    bus.serve(operations.listCampaigns, (input) => listCampaigns(ctx, input)),
    bus.serve(operations.changeCampaign, (input) => changeCampaign(ctx, input)),
    bus.serve(operations.listCampaignDevices, (input) => listCampaignDevices(ctx, input)),
  ]);
}
