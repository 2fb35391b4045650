import { ClaimCodeError, parseScannedClaim } from '@signet/contracts';
import type { DeviceRecord, Devices } from '../../collections.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { secondIdentityOf } from './ownership.ts';

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
 * The device that somebody names in a claim.
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
