import type { Bus, Subscription } from '@signet/bus';
import {
  blockDevices,
  OperationError,
  resetDevices,
  retireDevices,
  unblockDevices,
  unclaimDevices,
} from '@signet/contracts';
import { type Change, StoreError } from '@signet/store';
import type { DeviceRecord, Devices } from '../collections.ts';
import { byDeviceId, byFingerprint } from '../domain/device/find-device.ts';
import { isVisible, requireVisible, secondIdentityOf } from '../domain/device/ownership.ts';
import { reset, unclaim } from '../domain/device/reset.ts';
import { block, retire, unblock } from '../domain/device/transitions.ts';
import { BootstrapError } from '../domain/errors.ts';
import { groupPage } from './group-page.ts';

type Deps = { bus: Bus; devices: Devices; now: () => number };

type Selection = {
  account: string;
  deviceIds?: string[] | undefined;
  fingerprints?: string[] | undefined;
  group?: string | undefined;
};

type Failure = { device: string; code: string; message: string };

/** How many devices of a selection are changed at a time. */
const CONCURRENCY = 64;

/** Block, unblock, retire, reset and give up: one call for one device, many, or a group (F61, F67, F72, F73). */
export async function serveLifecycle(deps: Deps): Promise<Subscription[]> {
  const { bus, now } = deps;
  return [
    await bus.serve(blockDevices, (input) =>
      changeAll(deps, input, (record) => block(record, { ...input, now: now() })),
    ),
    await bus.serve(unblockDevices, (input) =>
      changeAll(deps, input, (record) => unblock(record, { ...input, now: now() })),
    ),
    await bus.serve(retireDevices, (input) =>
      changeAll(deps, input, (record) => retire(record, { ...input, now: now() })),
    ),
    await bus.serve(resetDevices, (input) =>
      changeAll(deps, input, (record) => reset(record, { ...input, now: now() })),
    ),
    await bus.serve(unclaimDevices, (input) =>
      changeAll(deps, input, (record) => unclaim(record, { ...input, now: now() })),
    ),
  ];
}

/**
 * Each device is changed, or fails, by itself. Whether the account still has it, and it still is the one that was
 * named, is asked inside the write. The call may be repeated.
 * @throws OperationError `invalid-input` where nothing is selected, `unknown-device` for a group that has no device,
 * `unavailable` where `provisioning`, which keeps groups, is: nothing of the group is changed then
 */
async function changeAll(
  deps: Pick<Deps, 'bus' | 'devices'>,
  selection: Selection,
  change: (record: DeviceRecord) => Change<DeviceRecord> | undefined,
): Promise<{ changed: string[]; failed: Failure[] }> {
  const { devices } = deps;
  const { account, deviceIds, fingerprints, group } = selection;
  if (deviceIds === undefined && fingerprints === undefined && group === undefined) {
    throw new OperationError('invalid-input', 'deviceIds: name devices, fingerprints or a group', {
      field: 'deviceIds',
    });
  }
  const seen = new Set<string>();
  const changed: string[] = [];
  const failed: Failure[] = [];
  const changeOne = async ({ name, record, isMeant }: Selected): Promise<void> => {
    try {
      requireVisible(record, account);
      if (record === undefined || seen.has(record.id)) return;
      seen.add(record.id);
      await devices.update(record.id, (current) => {
        requireVisible(isMeant(current) ? current : undefined, account);
        return change(current);
      });
      changed.push(record.deviceId);
    } catch (error) {
      if (!(error instanceof BootstrapError || error instanceof StoreError)) throw error;
      failed.push({ device: name, code: error.code, message: error.message });
    }
  };
  for await (const batch of batches(selected(deps, selection), CONCURRENCY)) {
    await Promise.all(batch.map(changeOne));
  }
  if (group !== undefined && changed.length + failed.length === 0) {
    throw new OperationError('unknown-device', `group: account "${account}" has no device in "${group}"`, {
      field: 'group',
    });
  }
  return { changed, failed };
}

type Selected = {
  name: string;
  record: DeviceRecord | undefined;
  /** Whether the record is what was selected, whatever became of it since. */
  isMeant: (current: DeviceRecord) => boolean;
};

async function* selected(
  { bus, devices }: Pick<Deps, 'bus' | 'devices'>,
  { account, deviceIds = [], fingerprints = [], group }: Selection,
): AsyncGenerator<Selected> {
  for (const name of deviceIds) {
    const isMeant = (current: DeviceRecord) => current.account === account && current.deviceId === name;
    yield { name, record: await byDeviceId(devices, account, name), isMeant };
  }
  for (const name of fingerprints) {
    const record = await byFingerprint(devices, name);
    const isMeant = (current: DeviceRecord) => current.id === name || secondIdentityOf(current) === name;
    yield { name, record: record !== undefined && isVisible(record, account) ? record : undefined, isMeant };
  }
  if (group === undefined) return;
  for await (const name of membersOf(bus, { account, group })) {
    const record = await byDeviceId(devices, account, name);
    // who left the account meanwhile is in no group
    const isMeant = (current: DeviceRecord) => current.account === account && current.deviceId === name;
    if (record !== undefined) yield { name, record, isMeant };
  }
}

/** The devices that are in a group now. `provisioning` knows them: a claim only names the first group. */
async function* membersOf(bus: Bus, which: { account: string; group: string }): AsyncGenerator<string> {
  let cursor: string | undefined;
  do {
    const page = await groupPage(bus, { ...which, limit: 1000, cursor }).catch((cause: unknown) => {
      if (!(cause instanceof OperationError) || cause.code !== 'unknown-group') throw cause;
    });
    yield* page?.deviceIds ?? [];
    cursor = page?.next;
  } while (cursor !== undefined);
}

async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
