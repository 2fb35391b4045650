import { type BootstrapRedirect, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { DeviceRecord, RedirectRecord, Redirects } from '../../collections.ts';
import { rulersOf } from '../device/ownership.ts';

export function redirectId(subject: BootstrapRedirect['subject']): string {
  return 'account' in subject ? `account/${subject.account}` : `device/${subject.fingerprint}`;
}

/**
 * Where a device is sent on to: by its own redirect, or by that of the account that owns it. What somebody set who has
 * no say over it any more does not count; of a device that is not known here, only what the platform set.
 */
export async function redirectOf(
  redirects: Pick<Redirects, 'get'>,
  fingerprint: string,
  record: DeviceRecord | undefined,
): Promise<RedirectRecord | undefined> {
  const rulers = record === undefined ? [PLATFORM_ACCOUNT] : rulersOf(record);
  const own = await redirects.get(redirectId({ fingerprint: record?.id ?? fingerprint }));
  if (own !== undefined && rulers.includes(own.setBy)) return own;
  return record?.account === undefined ? undefined : redirects.get(redirectId({ account: record.account }));
}
