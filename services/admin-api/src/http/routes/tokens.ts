import { Time } from '@signet/contracts';
import { Problem } from '@signet/service';
import type { Collection } from '@signet/store';
import { z } from 'zod';
import type { Accounts } from '../../domain/account/account.ts';
import type { Budgets } from '../../domain/budget/budget.ts';
import { Budget } from '../../domain/budget/budget.ts';
import { ApiToken, newToken, readToken } from '../../domain/token/api-token.ts';
import { type Role, RoleGrant } from '../../domain/token/permission.ts';
import { deleted, isAccount, knownAccount } from '../account-guard.ts';
import { type AnyRoute, route } from '../route.ts';
import { nothing, paging } from './shapes.ts';

const shown = ApiToken.omit({ secretHash: true });

const budgeted: ReadonlySet<Role> = new Set(['factory', 'installer', 'registrar']);
const isBudgetable = ({ role }: RoleGrant): boolean => budgeted.has(role);

/** API tokens are the platform's: making one needs a role in every account. */
export function tokenRoutes({
  accounts,
  tokens,
  now,
  budgets,
}: {
  accounts: Pick<Accounts, 'get'>;
  tokens: Collection<ApiToken>;
  now: () => number;
  budgets: Budgets;
}): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/tokens',
      summary: 'Make an API token; it is shown this once',
      permission: 'tokens:write',
      params: nothing,
      query: nothing,
      body: z
        .object({
          name: z.string().min(1).max(128),
          grants: z.array(RoleGrant).min(1).max(64),
          expiresAt: Time.optional(),
          budget: Budget.optional(),
        })
        .refine(({ budget, grants }) => budget === undefined || grants.every(isBudgetable), {
          path: ['budget'],
          message: 'only the roles factory, installer and registrar have one',
        }),
      response: shown.extend({ token: z.string() }),
      status: 201,
      handle: async ({ body, operator }) => {
        await requireAccounts(accounts, body.grants);
        const token = newToken();
        const { id, secretHash } = readToken(token) ?? {};
        if (id === undefined || secretHash === undefined) throw new Error('a token just made cannot be read');
        const { expiresAt, budget, ...rest } = body;
        const createdAt = new Date(now()).toISOString();
        const kept = {
          ...rest,
          id,
          createdAt,
          createdBy: operator.name,
          ...(expiresAt === undefined ? {} : { expiresAt }),
          ...(budget === undefined ? {} : { budget }),
        };
        await tokens.insert({ ...kept, secretHash });
        return { ...kept, token };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/tokens',
      summary: 'List API tokens, without their secrets',
      permission: 'tokens:write',
      params: nothing,
      query: paging,
      response: z.object({ items: z.array(shown), next: z.string().optional() }),
      handle: async ({ query: { limit, cursor } }) => {
        const page = await tokens.find({ limit, ...(cursor === undefined ? {} : { cursor }) });
        return {
          items: page.items.map(({ secretHash: _secretHash, ...rest }) => rest),
          ...(page.next === undefined ? {} : { next: page.next }),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/tokens/{id}/budget',
      summary: 'What the budget of an API token is, and how many devices it was used for',
      permission: 'tokens:write',
      params: z.object({ id: z.string() }),
      query: nothing,
      response: z.object({ budget: Budget, used: z.number().int() }),
      handle: async ({ params: { id } }) => {
        const token = await tokens.get(id);
        if (token?.budget === undefined)
          throw new Problem(404, 'unknown-token', `id: no token "${id}" with a budget`);
        return { budget: token.budget, used: await budgets.used(id) };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/tokens/{id}',
      summary: 'Revoke an API token at once',
      permission: 'tokens:write',
      params: z.object({ id: z.string() }),
      query: nothing,
      response: z.void(),
      status: 204,
      handle: async ({ params }) => {
        if ((await tokens.get(params.id)) === undefined)
          throw new Problem(404, 'unknown-token', `id: no token "${params.id}"`);
        const revokedAt = new Date(now()).toISOString();
        await tokens.update(params.id, (token) => ({
          document: { ...token, revokedAt: token.revokedAt ?? revokedAt },
        }));
      },
    }),
  ];
}

/** A role in an account that there is not would be one in whatever bears the name later. @throws Problem */
async function requireAccounts(accounts: Pick<Accounts, 'get'>, grants: readonly RoleGrant[]): Promise<void> {
  for (const [index, { account }] of grants.entries()) {
    if (!isAccount(account)) continue;
    const field = `grants.${index}.account`;
    const record = await knownAccount(accounts, account, field);
    if (record.state === 'deleted') throw deleted(record, field);
  }
}
