import { ClaimCodeError, PLATFORM_ACCOUNT, parseScannedClaim } from '@signet/contracts';
import type { DeviceRecord, Devices } from '../../collections.ts';
import { BootstrapError } from '../refusals/errors.ts';

/** The device that a fingerprint means: that of its first bootstrap certificate, or of its second (F15). */
export async function byFingerprint(
  devices: Pick<Devices, 'get' | 'find'>,
  fingerprint: string,
): Promise<DeviceRecord | undefined> {
  const first = await devices.get(fingerprint);
  if (first !== undefined) return first;
  const second = await devices.find({
    index: 'bySecond',
    equals: { secondFingerprint: fingerprint },
    limit: 1,
  });
  return second.items.find((record) => secondIdentityOf(record) === fingerprint);
}

export async function byDeviceId(
  devices: Pick<Devices, 'find'>,
  account: string,
  deviceId: string,
): Promise<DeviceRecord | undefined> {
  const page = await devices.find({ index: 'byAccount', equals: { account, deviceId }, limit: 1 });
  return page.items[0];
}

/**
 * The device that a claim names.
 * @throws BootstrapError `unknown-device`, `bad-claim-code`, `ambiguous-code`
 */
export async function byClaim(
  devices: Pick<Devices, 'get' | 'find'>,
  named: { readonly fingerprint?: string | undefined; readonly code?: string | undefined },
): Promise<DeviceRecord> {
  if (named.fingerprint !== undefined) {
    const record = await byFingerprint(devices, named.fingerprint);
    if (record !== undefined) return record;
    throw new BootstrapError('unknown-device', 'fingerprint: no device with this fingerprint was made', {
      field: 'fingerprint',
    });
  }
  if (named.code === undefined)
    throw new BootstrapError('bad-claim-code', 'fingerprint: give it, or the claim code', {
      field: 'fingerprint',
    });
  return byCode(devices, named.code);
}

async function byCode(devices: Pick<Devices, 'find'>, text: string): Promise<DeviceRecord> {
  const prefix = prefixOf(text);
  const [first, second] = (await devices.find({ prefix, limit: 2 })).items;
  if (second !== undefined)
    throw new BootstrapError('ambiguous-code', 'code: it means several devices; claim by fingerprint', {
      field: 'code',
    });
  if (first !== undefined) return first;
  const seconds = (await devices.find({ index: 'bySecond', prefix, limit: 16 })).items;
  const bySecond = seconds.find((record) => secondIdentityOf(record) !== undefined);
  if (bySecond !== undefined) return bySecond;
  throw new BootstrapError('unknown-device', 'code: no device with this claim code was made', {
    field: 'code',
  });
}

function prefixOf(text: string): string {
  try {
    return parseScannedClaim(text).prefix;
  } catch (cause) {
    if (!(cause instanceof ClaimCodeError)) throw cause;
    throw new BootstrapError('bad-claim-code', `code: ${cause.message}`, { field: 'code' });
  }
}

/** Whose rules hold for a device: its owner's, or its maker's while nobody owns it; and the platform's. */
export function rulersOf(record: DeviceRecord): readonly string[] {
  return [...new Set([rulerOf(record), PLATFORM_ACCOUNT])];
}

/** Whose word counts for a device: its owner's, or its maker's while nobody owns it, or the platform's. */
export function rulerOf(record: Pick<DeviceRecord, 'account' | 'factoryAccount'>): string {
  return record.account ?? record.factoryAccount ?? PLATFORM_ACCOUNT;
}

/** An account sees the devices that it claimed, and the unclaimed ones that it made. */
export function isVisible(record: DeviceRecord, account: string): boolean {
  return rulerOf(record) === account;
}

/**
 * To be asked inside the update that rests on it: what was read before may have changed hands since.
 * @throws BootstrapError `unknown-device`, which does not say whose it is
 */
export function requireVisible(record: DeviceRecord | undefined, account: string, field = 'device'): void {
  if (record !== undefined && isVisible(record, account)) return;
  throw new BootstrapError('unknown-device', `${field}: account "${account}" has no such device`, { field });
}

/**
 * The fingerprint of the device's second identity. It counts only while the account that set it has the device: what a
 * former owner added is never the new owner's device.
 */
export function secondIdentityOf(record: DeviceRecord): string | undefined {
  return record.secondSetBy === rulerOf(record) ? record.secondFingerprint : undefined;
}

/** The record without a second identity. */
export function withoutSecond(record: DeviceRecord): DeviceRecord {
  const {
    secondFingerprint: _fingerprint,
    secondIssuerKeyId: _issuer,
    secondSerial: _serial,
    secondSetBy: _setBy,
    ...rest
  } = record;
  return rest;
}
