import { Account, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { Collection } from '@signet/store';
import type { AuditEntry } from '../audit/audit-log.ts';
import type { ApiToken } from '../token/api-token.ts';
import { type Accounts, createAccount } from './account.ts';

const FIRST = 'default';

type Deps = {
  readonly accounts: Pick<Accounts, 'get' | 'insert'>;
  readonly audit: Pick<Collection<AuditEntry, 'byAccount'>, 'find'>;
  readonly tokens: Pick<Collection<ApiToken>, 'find'>;
  /** What the platform was started for: an account from the first start on. */
  readonly first: string;
  readonly now: number;
};

/**
 * Makes accounts of the names that were used before accounts were objects: those under which something was changed, as
 * the audit has it, and those that tokens have a role in. `default` is made last: it says that this is done. The account
 * that the platform is started for is there after every start; one that was deleted stays so.
 */
export async function adoptAccounts(deps: Deps): Promise<void> {
  const { accounts, now } = deps;
  if (deps.first !== FIRST && deps.first !== PLATFORM_ACCOUNT)
    await createAccount(accounts, deps.first, { by: 'start', now });
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
