import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import { claimDevice, claimDevices } from '../domain/claim/claim-device.ts';
import { listClaimedInto, settleClaimed } from '../domain/claim/claimed-groups.ts';
import { meetDevice } from '../domain/claim/first-contact.ts';
import { applyCrlToDevices } from '../domain/device/apply-crl.ts';
import {
  blockDevices,
  resetDevices,
  retireDevices,
  unblockDevices,
  unclaimDevices,
} from '../domain/device/change-devices.ts';
import { deviceView } from '../domain/device/device-view.ts';
import { addIdentity } from '../domain/device/second-identity.ts';
import { getDevice, identifyDevice, identifyDevices, listDevices } from '../domain/device/show-devices.ts';
import { type Served, served } from './serve.ts';

/** Devices: claimed, shown, changed, known by several names. */
export function deviceOperations(ctx: Context): readonly Served[] {
  return [
    served(operations.claimDevice, async (input) => deviceView((await claimDevice(ctx, input)).record)),
    served(operations.claimDevices, async (input) => ({ results: await claimDevices(ctx, input) })),
    served(operations.listClaimedInto, (input) => listClaimedInto(ctx, input)),
    served(operations.settleClaimed, (input) => settleClaimed(ctx, input)),
    served(operations.meetDevice, (input) => meetDevice(ctx, input)),

    served(operations.listDevices, (input) => listDevices(ctx, input)),
    served(operations.getDevice, (input) => getDevice(ctx, input)),
    served(operations.identifyDevice, (input) => identifyDevice(ctx, input)),
    served(operations.identifyDevices, (input) => identifyDevices(ctx, input)),

    served(operations.blockDevices, (input) => blockDevices(ctx, input)),
    served(operations.unblockDevices, (input) => unblockDevices(ctx, input)),
    served(operations.retireDevices, (input) => retireDevices(ctx, input)),
    served(operations.resetDevices, (input) => resetDevices(ctx, input)),
    served(operations.unclaimDevices, (input) => unclaimDevices(ctx, input)),
    served(operations.addIdentity, (input) => addIdentity(ctx, input)),
    served(operations.applyCrlToDevices, (input) => applyCrlToDevices(ctx, input)),
  ];
}
