import { Account, newEvent, PLATFORM_ACCOUNT, Time } from '@signet/contracts';
import { type Change, type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import type { AuditEntry } from '../audit/audit-log.ts';
import type { ApiToken } from '../token/api-token.ts';

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
    if (!isDuplicate(error)) throw error;
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

const FIRST = 'default';

type Deps = {
  readonly accounts: Pick<Accounts, 'get' | 'insert'>;
  readonly audit: Pick<Collection<AuditEntry, 'byAccount'>, 'find'>;
  readonly tokens: Pick<Collection<ApiToken>, 'find'>;
  readonly now: number;
};

/**
 * Makes accounts of the names that were used before accounts were objects: those under which something was changed, as
 * the audit has it, and those that tokens have a role in. `default` is made last: it says that this is done.
 */
export async function adoptAccounts(deps: Deps): Promise<void> {
  const { accounts, now } = deps;
  if ((await accounts.get(FIRST)) !== undefined) return;
  for (const id of new Set([...(await audited(deps)), ...(await granted(deps))]))
    if (Account.safeParse(id).success && id !== PLATFORM_ACCOUNT && id !== FIRST)
      await createAccount(accounts, id, { by: 'upgrade', now });
  await createAccount(accounts, FIRST, { by: 'start', now });
}

/** From one account to the next by the index, and of each only up to its first change that was made. */
async function audited({ audit }: Deps): Promise<string[]> {
  const found: string[] = [];
  let from = '';
  for (;;) {
    const [next] = (await audit.find({ index: 'byAccount', from, limit: 1 })).items;
    if (next === undefined) return found;
    if (await wasChanged({ audit }, next.account)) found.push(next.account);
    from = `${next.account}\u0000`;
  }
}

async function wasChanged({ audit }: Pick<Deps, 'audit'>, account: string): Promise<boolean> {
  let cursor: string | undefined;
  do {
    const page = await audit.find({
      ...{ index: 'byAccount', equals: { account }, limit: 1000 },
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (page.items.some(({ method, status = 500 }) => method !== 'GET' && status < 300)) return true;
    cursor = page.next;
  } while (cursor !== undefined);
  return false;
}

async function granted({ tokens }: Deps): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await tokens.find({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.items.flatMap(({ grants }) => grants.map(({ account }) => account)));
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}
