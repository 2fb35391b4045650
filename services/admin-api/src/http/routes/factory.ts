import type { Bus } from '@signet/bus';
import { FactoryItem, factoryLog, factorySign } from '@signet/contracts';
import { z } from 'zod';
import type { Budgets } from '../../domain/spend-budget.ts';
import { signWithinBudget } from '../budgeted.ts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

export function factoryRoutes(bus: Bus, budgets: Budgets): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/factory/certificates',
      summary: 'Sign bootstrap certificates: one CSR or a batch of at most 256, each standing by itself',
      permission: 'factory:sign',
      params: inAccount,
      query: nothing,
      body: z.object({ items: z.array(FactoryItem).min(1).max(256) }),
      response: factorySign.output,
      status: 201,
      isBudgeted: true,
      handle: ({ params, body, operator }) =>
        signWithinBudget({ bus, budgets }, operator, params.account, body.items),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/factory/log',
      summary: 'The factory log: every device made, in order of making',
      permission: 'factory:read',
      params: inAccount,
      query: paging,
      response: factoryLog.output,
      handle: ({ params, query }) => bus.request(factoryLog, { ...params, ...query }),
    }),
  ];
}
