import { Account, newEvent, Time } from '@signet/contracts';
import type { Change, Collection, CollectionSpec } from '@signet/store';
import { StoreError } from '@signet/store';
import { z } from 'zod';

/** An account; its id is the slug. */
export const AccountRecord = z.object({
  id: Account,
  state: z.enum(['active', 'suspended']),
  createdAt: Time,
  createdBy: z.string(),
  suspendedAt: Time.optional(),
  suspendedBy: z.string().optional(),
  reason: z.string().optional(),
});
export type AccountRecord = z.infer<typeof AccountRecord>;
export type Accounts = Collection<AccountRecord>;

export const accountRecords: CollectionSpec<AccountRecord, never> = {
  name: 'admin-api.accounts',
  schema: AccountRecord,
  indexes: {},
};

type Facts = { readonly by: string; readonly now: number };

/** @returns the account, or undefined where it is there already */
export async function createAccount(
  accounts: Pick<Accounts, 'insert'>,
  id: string,
  { by, now }: Facts,
): Promise<AccountRecord | undefined> {
  const record: AccountRecord = {
    id,
    state: 'active',
    createdAt: new Date(now).toISOString(),
    createdBy: by,
  };
  try {
    await accounts.insert(record, [
      newEvent('ACCOUNT_CREATED', { account: id, subject: id, time: now, data: { by } }),
    ]);
    return record;
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
    return undefined;
  }
}

/** Repeating it changes nothing. */
export function suspend(
  record: AccountRecord,
  { by, now, reason }: Facts & { readonly reason: string },
): Change<AccountRecord> | undefined {
  if (record.state === 'suspended') return undefined;
  const { id } = record;
  const suspendedAt = new Date(now).toISOString();
  return {
    document: { ...record, state: 'suspended', suspendedAt, suspendedBy: by, reason },
    events: [newEvent('ACCOUNT_SUSPENDED', { account: id, subject: id, time: now, data: { reason, by } })],
  };
}

/** Repeating it changes nothing. */
export function resume(record: AccountRecord, { by, now }: Facts): Change<AccountRecord> | undefined {
  if (record.state === 'active') return undefined;
  const { id, createdAt, createdBy } = record;
  return {
    document: { id, state: 'active', createdAt, createdBy },
    events: [newEvent('ACCOUNT_RESUMED', { account: id, subject: id, time: now, data: { by } })],
  };
}
