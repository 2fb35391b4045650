import { Account, PLATFORM_ACCOUNT } from '@signet/contracts';
import { Problem } from '@signet/service';
import { type Change, StoreError } from '@signet/store';
import { z } from 'zod';
import {
  AccountRecord,
  type Accounts,
  createAccount,
  resume,
  suspend,
} from '../../domain/account/account.ts';
import { demand } from '../authenticate.ts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const shown = AccountRecord.omit({ id: true }).extend({ account: Account });
const BASE = '/v1/accounts';

/** Accounts as the platform's administrators make, see, suspend and resume them. */
export function accountRoutes({
  accounts,
  now,
}: {
  readonly accounts: Accounts;
  readonly now: () => number;
}): AnyRoute[] {
  const change = async (
    account: string,
    step: (record: AccountRecord) => Change<AccountRecord> | undefined,
  ) => {
    try {
      return view(await accounts.update(account, step));
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
      throw unknown(account);
    }
  };
  return [
    route({
      method: 'POST',
      path: BASE,
      summary: 'Make an account',
      permission: 'platform:write',
      params: nothing,
      query: nothing,
      body: z.object({
        account: Account.refine((account) => account !== PLATFORM_ACCOUNT, 'account: is the platform itself'),
      }),
      response: shown,
      status: 201,
      handle: async ({ body: { account }, operator }) => {
        const made = await createAccount(accounts, account, { by: operator.name, now: now() });
        if (made !== undefined) return view(made);
        throw new Problem(409, 'account-exists', `account: there is an account "${account}"`, {
          field: 'account',
        });
      },
    }),
    route({
      method: 'GET',
      path: BASE,
      summary: 'List the accounts',
      permission: 'devices:read',
      params: nothing,
      query: paging,
      response: z.object({ items: z.array(shown), next: z.string().optional() }),
      handle: async ({ query: { limit, cursor } }) => {
        const page = await accounts.find({ limit, ...(cursor === undefined ? {} : { cursor }) });
        return {
          items: page.items.map(view),
          ...(page.next === undefined ? {} : { next: page.next }),
        };
      },
    }),
    route({
      method: 'GET',
      path: `${BASE}/{account}`,
      summary: 'An account, and since when and why it is suspended',
      permission: 'devices:read',
      params: inAccount,
      query: nothing,
      response: shown,
      handle: async ({ params: { account } }) => {
        const record = await accounts.get(account);
        if (record === undefined) throw unknown(account);
        return view(record);
      },
    }),
    route({
      method: 'POST',
      path: `${BASE}/{account}/suspend`,
      summary:
        'Suspend an account: its operators read only, nothing is claimed, handed over or enrolled; devices with a certificate go on',
      permission: 'platform:write',
      params: inAccount,
      query: nothing,
      body: z.object({ reason: z.string().min(1).max(256).default('by an operator') }),
      response: shown,
      handle: ({ params: { account }, body: { reason }, operator }) => {
        demand(operator, 'platform:write', '*');
        return change(account, (record) => suspend(record, { by: operator.name, now: now(), reason }));
      },
    }),
    route({
      method: 'POST',
      path: `${BASE}/{account}/resume`,
      summary: 'Resume an account that is suspended',
      permission: 'platform:write',
      params: inAccount,
      query: nothing,
      body: nothing,
      response: shown,
      handle: ({ params: { account }, operator }) => {
        demand(operator, 'platform:write', '*');
        return change(account, (record) => resume(record, { by: operator.name, now: now() }));
      },
    }),
  ];
}

function view({ id, ...record }: AccountRecord): z.infer<typeof shown> {
  return { account: id, ...record };
}

function unknown(account: string): Problem {
  return new Problem(404, 'unknown-account', `account: there is no account "${account}"`, {
    field: 'account',
  });
}
