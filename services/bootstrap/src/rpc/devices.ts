import * as operations from '@signet/contracts';
import { OperationError } from '@signet/contracts';
import type { Context } from '../context.ts';
import { claimDevice, claimDevices, listClaimedInto, settleClaimed } from '../domain/claim/claim-device.ts';
import { meetDevice } from '../domain/claim/first-contact.ts';
import { applyCrlToDevices } from '../domain/device/apply-crl.ts';
import {
  blockDevices,
  resetDevices,
  retireDevices,
  unblockDevices,
  unclaimDevices,
} from '../domain/device/change-devices.ts';
import { addIdentity } from '../domain/device/second-identity.ts';
import {
  deviceView,
  getDevice,
  identifyDevice,
  identifyDevices,
  listDevices,
} from '../domain/device/show-devices.ts';
import { importFactoryLog } from '../domain/factory/import-log.ts';
import { readFactoryLog, signDevices } from '../domain/factory/sign-devices.ts';
import type { HandoffRequest, HandoffResult } from '../domain/handoff/hand-off-device.ts';
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

/** What factories make, here and offline. */
export function factoryOperations(ctx: Context): readonly Served[] {
  return [
    served(operations.factorySign, (input) => signDevices(ctx, input)),
    served(operations.factoryLog, (input) => readFactoryLog(ctx, input)),
    served(operations.importFactoryLog, (input) => importFactoryLog(ctx, input)),
  ];
}

/** The handoff of devices that come over MQTT. What is no bundle is an error there. */
export function handoffOperation(handOff: (request: HandoffRequest) => Promise<HandoffResult>): Served {
  return served(operations.handOverDevice, async (request) => {
    const result = await handOff(request);
    if (result.kind === 'bundle') return result.bundle;
    if (result.kind === 'redirect')
      throw new OperationError('redirected', `fingerprint: ${result.url} hands this device over`);
    throw new OperationError(result.code, result.message);
  });
}
