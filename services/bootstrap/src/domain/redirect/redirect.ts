import { Account, BootstrapRedirect } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';
import type { DeviceRecord } from '../device/device-record.ts';

/** A redirect as it is kept; its id says for whom it is, `setBy` whose operators see it. */
export const RedirectRecord = BootstrapRedirect.extend({ id: z.string(), setBy: Account });
export type RedirectRecord = z.infer<typeof RedirectRecord>;

export const redirectRecords = {
  name: 'bootstrap.redirects',
  schema: RedirectRecord,
  indexes: { bySetter: { fields: ['setBy', 'id'] } },
} as const satisfies CollectionSpec<RedirectRecord>;
export type Redirects = Collection<RedirectRecord, keyof typeof redirectRecords.indexes>;

export function redirectId(subject: BootstrapRedirect['subject']): string {
  return 'account' in subject ? `account/${subject.account}` : `device/${subject.fingerprint}`;
}

/** Where a device is sent on to: its own redirect, or that of the account that owns it. */
export async function redirectOf(
  redirects: Pick<Redirects, 'get'>,
  record: DeviceRecord,
): Promise<RedirectRecord | undefined> {
  const own = await redirects.get(redirectId({ fingerprint: record.id }));
  if (own !== undefined || record.account === undefined) return own;
  return redirects.get(redirectId({ account: record.account }));
}
