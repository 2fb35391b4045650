import type { Bus } from '@signet/bus';
import {
  FactoryItem,
  FirstContact,
  factoryLog,
  factorySign,
  importFactoryLog,
  MadeElsewhere,
  registerFactoryAuthority,
  setFirstContact,
} from '@signet/contracts';
import { z } from 'zod';
import type { Budgets } from '../../domain/budget/budget.ts';
import { importWithinBudget, signWithinBudget } from '../budgeted.ts';
import { type AnyRoute, route } from '../route.ts';
import { asked } from './asked.ts';
import { inAccount, MIB, nothing, paging } from './shapes.ts';

const base = '/v1/accounts/{account}/factory';

export function factoryRoutes(bus: Bus, budgets: Budgets): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: `${base}/certificates`,
      summary: 'Sign bootstrap certificates: one CSR or a batch of at most 256, each judged by itself',
      permission: 'factory:sign',
      params: inAccount,
      query: nothing,
      body: z.object({ items: z.array(FactoryItem).min(1).max(256) }),
      bodyBytes: 8 * MIB,
      response: factorySign.output,
      status: 201,
      isBudgeted: true,
      handle: ({ params, body, operator }) =>
        signWithinBudget({ bus, budgets }, operator, params.account, body.items),
    }),
    route({
      method: 'GET',
      path: `${base}/log`,
      summary: 'The factory log: every device made, in order of making',
      permission: 'factory:read',
      params: inAccount,
      query: paging,
      response: factoryLog.output,
      handle: ({ params, query }) => bus.request(factoryLog, { ...params, ...query }),
    }),
    route({
      method: 'POST',
      path: `${base}/log`,
      summary: 'Take up what a registered CA made offline: at most 256 certificates, each judged by itself',
      permission: 'factory:sign',
      params: inAccount,
      query: nothing,
      body: z.object({ items: z.array(MadeElsewhere).min(1).max(256) }),
      bodyBytes: 8 * MIB,
      response: importFactoryLog.output as z.ZodType<{ results: object[] }>,
      isBudgeted: true,
      handle: ({ params, body, operator }) =>
        importWithinBudget({ bus, budgets }, operator, params.account, body.items),
    }),
    ...manufacturerRoutes(bus),
  ];
}

/** CAs of manufacturers; they are put out of force and back in as any other CA is. */
function manufacturerRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: `${base}/authorities`,
      summary:
        'Register the CA of a manufacturer, by a statement that it signed; a waiver goes into the audit',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: registerFactoryAuthority.input.omit({ account: true, by: true, byPlatform: true }),
      response: registerFactoryAuthority.output,
      status: 201,
      handle: ({ params, body, operator, note }) => {
        if (body.waiver !== undefined) note(`proof of possession waived: ${body.waiver}`);
        return bus.request(registerFactoryAuthority, { ...params, ...body, ...asked(operator) });
      },
    }),
    route({
      method: 'PUT',
      path: `${base}/authorities/{authorityId}`,
      summary: 'Say what becomes of devices of a manufacturer’s CA that come before they are announced',
      permission: 'pki:write',
      params: inAccount.extend({ authorityId: z.string().max(64) }),
      query: nothing,
      body: z.object({ firstContact: FirstContact }),
      response: setFirstContact.output,
      handle: ({ params, body, operator }) =>
        bus.request(setFirstContact, { ...params, ...body, ...asked(operator) }),
    }),
  ];
}
