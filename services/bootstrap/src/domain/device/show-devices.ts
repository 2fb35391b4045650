import type * as operations from '@signet/contracts';
import {
  type Device,
  DeviceId,
  listGroupDevices,
  type MadeDevice,
  OperationError,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import type { DeviceRecord } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { type PageRequest, readPage, viewsOf } from '../documents/documents.ts';
import { byClaim, byDeviceId, byFingerprint, isVisible, secondIdentityOf } from './find-device.ts';

/** The record as its maker sees it: once another account has it, what was made, and that it was handed on. */
export function makersView(record: DeviceRecord): MadeDevice {
  const { factoryAccount = PLATFORM_ACCOUNT } = record;
  if (isVisible(record, factoryAccount)) return deviceView(record);
  const { id, deviceSerialNumber, model, certificate, manufacturedAt } = record;
  return {
    deviceId: factoryDeviceId(record),
    ...{ factoryAccount, fingerprint: id, deviceSerialNumber, certificate, manufacturedAt },
    ...(model === undefined ? {} : { model }),
    ...{ state: 'claimed', handedOn: true },
  };
}

/** The device id that the factory gave: the claim may have given it another. */
export function factoryDeviceId({ certificate, deviceId }: DeviceRecord): string {
  return DeviceId.parse(parseCertificatePem(certificate).subject.commonName ?? deviceId);
}

/** The record as operators of the account see it that has the device. */
export function deviceView(record: DeviceRecord): Device {
  const secondFingerprint = secondIdentityOf(record);
  return {
    deviceId: record.deviceId,
    factoryAccount: record.factoryAccount ?? PLATFORM_ACCOUNT,
    fingerprint: record.id,
    deviceSerialNumber: record.deviceSerialNumber,
    state: record.state,
    certificate: record.certificate,
    manufacturedAt: record.manufacturedAt,
    ...(record.account === undefined ? {} : { account: record.account }),
    ...(record.model === undefined ? {} : { model: record.model }),
    ...(record.name === undefined ? {} : { name: record.name }),
    ...(record.production === undefined ? {} : { production: true }),
    ...(secondFingerprint === undefined ? {} : { secondFingerprint }),
    ...(record.group === undefined ? {} : { group: record.group }),
    ...(record.reason === undefined ? {} : { reason: record.reason }),
    ...(record.claimedAt === undefined ? {} : { claimedAt: record.claimedAt }),
    ...(record.bootstrappedAt === undefined ? {} : { bootstrappedAt: record.bootstrappedAt }),
  };
}

/** The devices of an account, all or those of a group. @throws OperationError `unknown-group` */
export async function listDevices(
  ctx: Pick<Context, 'devices' | 'bus'>,
  { account, state, group, ...page }: InputOf<typeof operations.listDevices>,
) {
  if (group !== undefined) {
    const { deviceIds, ...rest } = await readGroup(ctx, { account, group, ...page });
    const found = await Promise.all(deviceIds.map((id) => byDeviceId(ctx.devices, account, id)));
    const items = found
      .filter((record) => record !== undefined)
      .filter((record) => isVisible(record, account) && (state ?? record.state) === record.state);
    return { items: items.map(deviceView), ...rest };
  }
  if (state === undefined)
    return viewsOf(
      await readPage(ctx.devices, { index: 'byAccount', equals: { account } }, page),
      deviceView,
    );
  const found = await readPage(ctx.devices, { index: 'byState', equals: { account, state } }, page);
  // an index may be a moment behind its document
  return viewsOf({ ...found, items: found.items.filter((record) => record.state === state) }, deviceView);
}

/** By device id within the account, or by fingerprint. @throws OperationError `unknown-device` */
export async function getDevice(
  { devices }: Pick<Context, 'devices'>,
  { account, deviceId, fingerprint }: InputOf<typeof operations.getDevice>,
) {
  const record =
    fingerprint !== undefined
      ? await byFingerprint(devices, fingerprint)
      : await byDeviceId(devices, account, deviceId ?? '');
  if (record === undefined || !isVisible(record, account))
    throw new OperationError('unknown-device', `device: account "${account}" has no such device`);
  return deviceView(record);
}

/** Identifies devices for services that know them by one name only. */
export async function identifyDevices(
  { devices }: Pick<Context, 'devices'>,
  { account, deviceIds, fingerprints }: InputOf<typeof operations.identifyDevices>,
) {
  const found = await Promise.all([
    ...fingerprints.map((fingerprint) => byFingerprint(devices, fingerprint)),
    ...(account === undefined ? [] : deviceIds.map((deviceId) => byDeviceId(devices, account, deviceId))),
  ]);
  return { devices: found.filter((record) => record !== undefined).map(identityView) };
}

/** Which device a claim means: what budgets are counted by. @throws BootstrapError as {@link byClaim} */
export async function identifyDevice(
  { devices }: Pick<Context, 'devices'>,
  named: InputOf<typeof operations.identifyDevice>,
) {
  const { id, deviceSerialNumber } = await byClaim(devices, named);
  return { fingerprint: id, deviceSerialNumber };
}

function identityView(record: DeviceRecord) {
  return {
    deviceId: record.deviceId,
    fingerprint: record.id,
    factoryAccount: record.factoryAccount ?? PLATFORM_ACCOUNT,
    ...(record.account === undefined ? {} : { account: record.account }),
    ...(record.claimedAt === undefined ? {} : { claimedAt: record.claimedAt }),
    ...(record.group === undefined ? {} : { group: record.group }),
    ...(record.groupState === undefined ? {} : { groupPending: record.groupState === 'pending' }),
  };
}

/**
 * A page of the devices of a group, as `provisioning` has them: groups by labels too, and without those who left.
 * @throws OperationError `unknown-group`, `unavailable`
 */
export async function readGroup(
  { bus }: Pick<Context, 'bus'>,
  { cursor, ...page }: PageRequest & { readonly account: string; readonly group: string },
): Promise<{ readonly deviceIds: readonly string[]; readonly next?: string }> {
  const { items, next } = await bus.request(listGroupDevices, {
    ...page,
    ...(cursor === undefined ? {} : { cursor }),
  });
  return { deviceIds: items.map(({ deviceId }) => deviceId), ...(next === undefined ? {} : { next }) };
}
