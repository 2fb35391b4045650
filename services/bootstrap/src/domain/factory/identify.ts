import { ClaimCodeError, parseClaimCode } from '@signet/contracts';
import type { Collection } from '@signet/store';
import type { DeviceIndex, DeviceRecord } from '../device/device-record.ts';

export type Unidentified = {
  readonly code: 'unknown-device' | 'bad-claim-code' | 'ambiguous-code';
  readonly message: string;
};

/** The device that a fingerprint or a claim code means, whosever it is; a code that fits two devices means neither. */
export async function identify(
  devices: Pick<Collection<DeviceRecord, DeviceIndex>, 'get' | 'find'>,
  { fingerprint, code }: { readonly fingerprint?: string | undefined; readonly code?: string | undefined },
): Promise<DeviceRecord | Unidentified> {
  if (fingerprint !== undefined) return (await devices.get(fingerprint)) ?? unknown('fingerprint');
  try {
    const { prefix } = parseClaimCode(code ?? '');
    const { items } = await devices.find({ prefix, limit: 2 });
    if (items.length > 1)
      return { code: 'ambiguous-code', message: 'code: fits two devices; give the fingerprint' };
    return items[0] ?? unknown('code');
  } catch (error) {
    if (!(error instanceof ClaimCodeError)) throw error;
    return { code: 'bad-claim-code', message: error.message };
  }
}

function unknown(field: string): Unidentified {
  return { code: 'unknown-device', message: `${field}: no device with this ${field} was made` };
}
