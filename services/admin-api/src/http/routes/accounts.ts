import { Account, PLATFORM_ACCOUNT } from '@signet/contracts';
import { Problem } from '@signet/service';
import { type Change, StoreError } from '@signet/store';
import { z } from 'zod';
import {
  AccountError,
  AccountRecord,
  type Accounts,
  createAccount,
  deleteAccount,
  markForDeletion,
  resume,
  suspend,
} from '../../domain/account/account.ts';
import { deleted, knownAccount } from '../account-guard.ts';
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
      if (error instanceof AccountError)
        throw new Problem(statuses[error.code], error.code, error.message, { field: 'account' });
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
        const record = await knownAccount(accounts, account);
        if (record.state === 'deleted') throw deleted(record);
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
        return view(await knownAccount(accounts, account));
      },
    }),
    route({
      method: 'POST',
      path: `${BASE}/{account}/suspend`,
      summary:
        'Suspend an account: its operators read only, no claim, handoff or enrolment is made; devices with a certificate go on, unless `devices` has them cut off too',
      permission: 'platform:write',
      params: inAccount,
      query: nothing,
      body: z.object({
        reason: z.string().min(1).max(256).default('by an operator'),
        devices: z.literal(true).optional(),
      }),
      response: shown,
      handle: ({ params: { account }, body, operator }) => {
        demand(operator, 'platform:write', '*');
        return change(account, (record) => suspend(record, { ...body, by: operator.name, now: now() }));
      },
    }),
    route({
      method: 'POST',
      path: `${BASE}/{account}/deletion`,
      summary:
        'Mark an account for deletion, the first of two steps: it is suspended, and may be deleted seven days later; resuming it calls that off',
      permission: 'platform:write',
      params: inAccount,
      query: nothing,
      body: nothing,
      response: shown,
      handle: ({ params: { account }, operator }) => {
        demand(operator, 'platform:write', '*');
        return change(account, (record) => markForDeletion(record, { by: operator.name, now: now() }));
      },
    }),
    route({
      method: 'DELETE',
      path: `${BASE}/{account}`,
      summary:
        'Delete an account that was marked for it at least seven days ago: for good, and its slug is never given again',
      permission: 'platform:write',
      params: inAccount,
      query: nothing,
      response: shown,
      handle: ({ params: { account }, operator }) => {
        demand(operator, 'platform:write', '*');
        return change(account, (record) => deleteAccount(record, { by: operator.name, now: now() }));
      },
    }),
    route({
      method: 'POST',
      path: `${BASE}/{account}/resume`,
      summary:
        'Resume an account that is suspended or marked for deletion: its operators change things again, and its devices are admitted',
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

const statuses = {
  'account-deleted': 403,
  'deletion-not-marked': 409,
  'deletion-too-early': 409,
} as const satisfies Record<AccountError['code'], number>;

function view({ id, ...record }: AccountRecord): z.infer<typeof shown> {
  return { account: id, ...record };
}

function unknown(account: string): Problem {
  return new Problem(404, 'unknown-account', `account: there is no account "${account}"`, {
    field: 'account',
  });
}
