import type * as operations from '@signet/contracts';
import { OperationError, type SignetEvent } from '@signet/contracts';
import { type Change, StoreError } from '@signet/store';
import type { DeviceRecord } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { byDeviceId, byFingerprint, isVisible, requireVisible, secondIdentityOf } from './find-device.ts';
import { reset, unclaim } from './reset.ts';
import { readGroup } from './show-devices.ts';
import { advance, block, retire, unblock } from './transitions.ts';

type ChangeContext = Pick<Context, 'bus' | 'devices' | 'now'>;

type Selection = InputOf<typeof operations.resetDevices>;

type Failure = { device: string; code: string; message: string };

/** How many devices of a selection are changed at a time. */
const CONCURRENCY = 64;

export function blockDevices(ctx: ChangeContext, input: InputOf<typeof operations.blockDevices>) {
  return changeDevices(ctx, input, (record) => block(record, { ...input, now: ctx.now() }));
}

export function unblockDevices(ctx: ChangeContext, input: Selection) {
  return changeDevices(ctx, input, (record) => unblock(record, { ...input, now: ctx.now() }));
}

export function retireDevices(ctx: ChangeContext, input: InputOf<typeof operations.retireDevices>) {
  return changeDevices(ctx, input, (record) => retire(record, { ...input, now: ctx.now() }));
}

export function resetDevices(ctx: ChangeContext, input: Selection) {
  return changeDevices(ctx, input, (record) => reset(record, { ...input, now: ctx.now() }));
}

export function unclaimDevices(ctx: ChangeContext, input: Selection) {
  return changeDevices(ctx, input, (record) => unclaim(record, { ...input, now: ctx.now() }));
}

/**
 * A certificate was issued to a device, or it was seen with one. Events of devices that are not known here are ignored;
 * repeated and late ones change nothing, and events from before a claim or a reset do not count for the onboarding
 * in progress.
 */
export async function advanceDevice(
  { devices }: Pick<Context, 'devices'>,
  { id, account, subject, type, time }: SignetEvent,
): Promise<void> {
  const to = type === 'CERT_ISSUED' ? 'enrolled' : 'active';
  const record = await byDeviceId(devices, account, subject);
  const step = (current: DeviceRecord) =>
    current.account === account && current.deviceId === subject && time >= (current.onboardingSince ?? '')
      ? advance(current, to)
      : undefined;
  if (record === undefined || step(record) === undefined) return;
  await devices.update(record.id, step, { appliedEvent: id });
}

/**
 * Each device is changed, or fails, by itself. Whether the account still has it, and it still is the one that was
 * named, is asked inside the write. The call may be repeated.
 * @throws OperationError `invalid-input` where nothing is selected, `unknown-device` for a group that has no device,
 * `unavailable` where `provisioning`, which keeps groups, is: nothing of the group is changed then
 */
async function changeDevices(
  ctx: Pick<Context, 'bus' | 'devices'>,
  selection: Selection,
  change: (record: DeviceRecord) => Change<DeviceRecord> | undefined,
): Promise<{ changed: string[]; failed: Failure[] }> {
  const { devices } = ctx;
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
  for await (const batch of batches(devicesOf(ctx, selection), CONCURRENCY)) {
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

async function* devicesOf(
  { bus, devices }: Pick<Context, 'bus' | 'devices'>,
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
  for await (const name of membersOf({ bus }, { account, group })) {
    const record = await byDeviceId(devices, account, name);
    // A device that left the account meanwhile is in no group.
    const isMeant = (current: DeviceRecord) => current.account === account && current.deviceId === name;
    if (record !== undefined) yield { name, record, isMeant };
  }
}

/** The devices that are in a group now. `provisioning` knows them: a claim only names the first group. */
async function* membersOf(
  ctx: Pick<Context, 'bus'>,
  which: { account: string; group: string },
): AsyncGenerator<string> {
  let cursor: string | undefined;
  do {
    const page = await readGroup(ctx, { ...which, limit: 1000, cursor }).catch((cause: unknown) => {
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
