import { type Device, DeviceId, type MadeDevice, PLATFORM_ACCOUNT } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import type { DeviceRecord } from '../../collections.ts';
import { isVisible, secondIdentityOf } from './ownership.ts';

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
