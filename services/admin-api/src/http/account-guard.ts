import { Account, PLATFORM_ACCOUNT } from '@signet/contracts';
import { Problem } from '@signet/service';
import { type Accounts, createAccount } from '../domain/account/account.ts';
import type { Operator } from '../domain/token/api-token.ts';
import { isAllowed } from '../domain/token/permission.ts';

/** What accounts have to say to a call that changes something under one. */
export type AccountGuard = {
  /** @throws Problem 403 `account-suspended` */
  readonly requireActive: (operator: Operator, account: string) => Promise<void>;
  /** Something was changed under this name: it is an account from then on. */
  readonly note: (operator: Operator, account: string) => Promise<void>;
};

/** Operators of a suspended account read only; administrators of the platform see to it all the same. */
export function accountGuard(deps: {
  readonly accounts: Pick<Accounts, 'get' | 'insert'>;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}): AccountGuard {
  const { accounts, now, onError } = deps;
  const noted = new Set<string>();
  return {
    async requireActive(operator, account) {
      if (!isAccount(account) || isAllowed(operator.grants, 'platform:write', '*')) return;
      const record = await accounts.get(account);
      if (record?.state !== 'suspended') return;
      const why = `account: "${account}" is suspended (${record.reason}): its operators read only`;
      throw new Problem(403, 'account-suspended', why, { field: 'account' });
    },
    async note(operator, account) {
      if (noted.has(account) || !isAccount(account)) return;
      try {
        await createAccount(accounts, account, { by: operator.name, now: now() });
        noted.add(account);
      } catch (error) {
        // it was done: the next change tells of the account
        onError(error);
      }
    },
  };
}

function isAccount(account: string): boolean {
  return account !== PLATFORM_ACCOUNT && Account.safeParse(account).success;
}
