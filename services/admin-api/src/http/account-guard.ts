import { Account, PLATFORM_ACCOUNT } from '@signet/contracts';
import { Problem } from '@signet/service';
import type { AccountRecord, Accounts } from '../domain/account/account.ts';
import type { Operator } from '../domain/token/api-token.ts';
import { isAllowed } from '../domain/token/permission.ts';

/** What accounts have to say to a call that changes something under one. */
export type AccountGuard = {
  /** @throws Problem 404 `unknown-account`; 403 `account-suspended`, `account-deleted` */
  readonly requireActive: (operator: Operator, account: string) => Promise<void>;
};

/**
 * A typo makes nothing: what is changed is changed under an account that was made. Operators of a suspended account read
 * only; administrators of the platform may act anyway. Of a deleted account nobody changes anything.
 */
export function accountGuard({ accounts }: { readonly accounts: Pick<Accounts, 'get'> }): AccountGuard {
  return {
    async requireActive(operator, account) {
      if (!isAccount(account)) return;
      const record = await knownAccount(accounts, account);
      if (record.state === 'deleted') throw deleted(record);
      if (record.state === 'active' || isAllowed(operator.grants, 'platform:write', '*')) return;
      const why = `account: "${account}" is suspended (${record.reason}): its operators read only`;
      throw new Problem(403, 'account-suspended', why, { field: 'account' });
    },
  };
}

/** @throws Problem 404 `unknown-account` */
export async function knownAccount(
  accounts: Pick<Accounts, 'get'>,
  account: string,
  field = 'account',
): Promise<AccountRecord> {
  const record = await accounts.get(account);
  if (record !== undefined) return record;
  const why = `${field}: there is no account "${account}"`;
  throw new Problem(404, 'unknown-account', why, { field });
}

/** Of an account that is gone for good. */
export function deleted({ id, deletedAt }: AccountRecord, field = 'account'): Problem {
  const why = `${field}: account "${id}" was deleted at ${deletedAt}`;
  return new Problem(403, 'account-deleted', why, { field });
}

/** Whether this names an account of tenants: not all of them, and not the platform itself. */
export function isAccount(account: string): boolean {
  return account !== PLATFORM_ACCOUNT && Account.safeParse(account).success;
}
