import { Account, CodedError, newEvent, Time } from '@signet/contracts';
import { type Change, type Collection, type CollectionSpec, insertIfAbsent } from '@signet/store';
import { z } from 'zod';

/** An account; its id is the slug. */
export const AccountRecord = z.object({
  id: Account,
  state: z.enum(['active', 'suspended', 'deleted']),
  createdAt: Time,
  createdBy: z.string(),
  suspendedAt: Time.optional(),
  suspendedBy: z.string().optional(),
  reason: z.string().optional(),
  /** Present where its live devices are cut off too. */
  devices: z.literal(true).optional(),
  /** Marked for deletion: when and by whom, and from when on it may be deleted. */
  deletionMarkedAt: Time.optional(),
  deletionMarkedBy: z.string().optional(),
  deletableFrom: Time.optional(),
  deletedAt: Time.optional(),
  deletedBy: z.string().optional(),
});
export type AccountRecord = z.infer<typeof AccountRecord>;
export type Accounts = Collection<AccountRecord>;

export const accountRecords: CollectionSpec<AccountRecord, never> = {
  name: 'admin-api.accounts',
  schema: AccountRecord,
  indexes: {},
};

type Facts = { readonly by: string; readonly now: number };

/** @returns the account, or undefined where it is there already, or was before it was deleted */
export async function createAccount(
  accounts: Pick<Accounts, 'insert'>,
  id: string,
  { by, now }: Facts,
): Promise<AccountRecord | undefined> {
  const record: AccountRecord = {
    id,
    state: 'active',
    createdAt: iso(now),
    createdBy: by,
  };
  const made = newEvent('ACCOUNT_CREATED', { account: id, subject: id, time: now, data: { by } });
  return (await insertIfAbsent(accounts, record, [made])) ? record : undefined;
}

type Step = Change<AccountRecord> | undefined;

/**
 * Repeating it changes nothing; asked with `devices`, it cuts off the live devices of an account that was suspended
 * without. @throws AccountError `account-deleted`
 */
export function suspend(
  record: AccountRecord,
  { by, now, reason, devices }: Facts & { readonly reason: string; readonly devices?: true | undefined },
): Step {
  requireThere(record);
  const cuts = devices === true && record.devices !== true;
  if (record.state === 'suspended' && !cuts) return undefined;
  const { id } = record;
  const isCut = cuts || record.devices === true;
  const suspendedAt = iso(now);
  const data = { reason, by, ...(isCut ? { devices: true as const } : {}) };
  return {
    document: {
      ...record,
      state: 'suspended',
      suspendedAt,
      suspendedBy: by,
      reason,
      ...(isCut ? { devices: true as const } : {}),
    },
    events: [newEvent('ACCOUNT_SUSPENDED', { account: id, subject: id, time: now, data })],
  };
}

/**
 * Active again, and not marked for deletion any more. Repeating it changes nothing.
 * @throws AccountError `account-deleted`
 */
export function resume(record: AccountRecord, { by, now }: Facts): Step {
  requireThere(record);
  if (record.state === 'active') return undefined;
  const { id, createdAt, createdBy } = record;
  return {
    document: { id, state: 'active', createdAt, createdBy },
    events: [newEvent('ACCOUNT_RESUMED', { account: id, subject: id, time: now, data: { by } })],
  };
}

/** Between the two steps of a deletion. */
export const DELETION_WAIT_MS = 7 * 86_400_000;

/**
 * The first step: the account is suspended, and may be deleted seven days from now. Repeating it changes nothing, and
 * the time is not put off. @throws AccountError `account-deleted`
 */
export function markForDeletion(record: AccountRecord, facts: Facts): Step {
  requireThere(record);
  if (record.deletableFrom !== undefined) return undefined;
  const { by, now } = facts;
  const { id } = record;
  const suspended = suspend(record, { ...facts, reason: 'marked for deletion' });
  const deletableFrom = iso(now + DELETION_WAIT_MS);
  return {
    document: {
      ...(suspended?.document ?? record),
      deletionMarkedAt: iso(now),
      deletionMarkedBy: by,
      deletableFrom,
    },
    events: [
      ...(suspended?.events ?? []),
      newEvent('ACCOUNT_DELETION_MARKED', {
        account: id,
        subject: id,
        time: now,
        data: { deletableFrom, by },
      }),
    ],
  };
}

/**
 * The second step. The record stays, so that nobody is given the slug again. Repeating it changes nothing.
 * @throws AccountError `deletion-not-marked`, `deletion-too-early`
 */
export function deleteAccount(record: AccountRecord, { by, now }: Facts): Step {
  if (record.state === 'deleted') return undefined;
  const { id, createdAt, createdBy, deletionMarkedAt, deletionMarkedBy, deletableFrom } = record;
  if (deletableFrom === undefined)
    throw new AccountError(
      'deletion-not-marked',
      `account: "${id}" is not marked for deletion; mark it first, and delete it seven days later`,
      { field: 'account' },
    );
  if (now < Date.parse(deletableFrom))
    throw new AccountError(
      'deletion-too-early',
      `account: "${id}" may be deleted from ${deletableFrom} on; until then it can be resumed`,
      { field: 'account' },
    );
  return {
    document: {
      ...{ id, state: 'deleted', createdAt, createdBy, deletionMarkedAt, deletionMarkedBy, deletableFrom },
      deletedAt: iso(now),
      deletedBy: by,
    },
    events: [newEvent('ACCOUNT_DELETED', { account: id, subject: id, time: now, data: { by } })],
  };
}

/** What cannot be done with an account. */
export class AccountError extends CodedError<
  'account-deleted' | 'deletion-not-marked' | 'deletion-too-early'
> {}

function requireThere({ id, state, deletedAt }: AccountRecord): void {
  if (state === 'deleted')
    throw new AccountError('account-deleted', `account: "${id}" was deleted at ${deletedAt}`, {
      field: 'account',
    });
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
