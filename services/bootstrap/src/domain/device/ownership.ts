import { PLATFORM_ACCOUNT } from '@signet/contracts';
import type { DeviceRecord } from '../../collections.ts';
import { BootstrapError } from '../refusals/errors.ts';

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
