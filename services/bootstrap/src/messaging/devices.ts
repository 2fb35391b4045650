import type { Bus, Subscription } from '@signet/bus';
import { claimDevice, claimDevices, getDevice, listDevices, OperationError } from '@signet/contracts';
import type { AccountStates, BlockRules, Devices, VoidedAuthorities } from '../collections.ts';
import { claimMany, claimDevice as claimOne } from '../domain/claim/claim-device.ts';
import { deviceView } from '../domain/device/device-view.ts';
import { byDeviceId, byFingerprint } from '../domain/device/find-device.ts';
import { isVisible } from '../domain/device/ownership.ts';
import type { FactoryPins } from '../domain/factory/factory-pins.ts';
import { groupPage } from './group-page.ts';
import { asOperationError } from './operation-errors.ts';

type Deps = {
  bus: Bus;
  devices: Devices;
  rules: BlockRules;
  voided: VoidedAuthorities;
  factories: FactoryPins;
  accountStates: AccountStates;
  now: () => number;
};

/** Claims, and what operators ask of devices. */
export async function serveDevices({
  bus,
  devices,
  rules,
  voided,
  factories,
  accountStates,
  now,
}: Deps): Promise<Subscription[]> {
  const deps = { devices, rules, voided, factories, accountStates, now };
  return [
    await bus.serve(claimDevice, async (input) => {
      try {
        return deviceView((await claimOne(deps, input)).record);
      } catch (error) {
        throw asOperationError(error);
      }
    }),
    await bus.serve(claimDevices, async (input) => {
      try {
        return { results: await claimMany(deps, input) };
      } catch (error) {
        throw asOperationError(error);
      }
    }),
    await bus.serve(listDevices, async ({ account, state, group, cursor, limit }) => {
      const members =
        group === undefined ? undefined : await groupPage(bus, { account, group, limit, cursor });
      if (members !== undefined) {
        const found = await Promise.all(members.deviceIds.map((id) => byDeviceId(devices, account, id)));
        const items = found
          .filter((record) => record !== undefined)
          .filter((record) => isVisible(record, account) && (state ?? record.state) === record.state)
          .map(deviceView);
        return { items, ...(members.next === undefined ? {} : { next: members.next }) };
      }
      const page = await devices.find({
        ...(state !== undefined
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
          ? await byFingerprint(devices, fingerprint)
          : await byDeviceId(devices, account, deviceId ?? '');
      if (record === undefined || !isVisible(record, account)) {
        throw new OperationError('unknown-device', `device: account "${account}" has no such device`);
      }
      return deviceView(record);
    }),
  ];
}
