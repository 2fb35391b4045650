import type { Bus } from '@signet/bus';
import { DenyKind, DenyTarget, denyTargets, liftTargets, listDenied } from '@signet/contracts';
import { Problem } from '@signet/service';
import { z } from 'zod';
import type { Operator } from '../../domain/api-token.ts';
import { isAllowed } from '../../domain/permission.ts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const targets = z.array(DenyTarget).min(1).max(1000);

export function denylistRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/denylist',
      summary: 'What is denied for this account, with reason and source',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ kind: DenyKind.optional() }),
      response: listDenied.output,
      handle: ({ params, query }) => bus.request(listDenied, { ...params, ...query }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/denylist',
      summary: 'Deny certificates, keys, devices, fingerprints or CAs; live sessions end',
      permission: 'denylist:write',
      params: inAccount,
      query: nothing,
      body: z.object({
        targets,
        reason: z.string().max(256).default('by an operator'),
        expiresAt: z.number().int().optional(),
      }),
      response: denyTargets.output,
      handle: ({ params, body, operator }) => {
        demandOwnership(operator, params.account, body.targets);
        return bus.request(denyTargets, { ...params, ...body, by: operator.name });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/denylist/lift',
      summary: 'Take entries off the deny list',
      permission: 'denylist:write',
      params: inAccount,
      query: nothing,
      body: z.object({ targets }),
      response: liftTargets.output,
      handle: ({ params, body, operator }) => {
        demandOwnership(operator, params.account, body.targets);
        return bus.request(liftTargets, { ...params, ...body, by: operator.name });
      },
    }),
  ];
}

/**
 * Whose a key, a fingerprint or a certificate is cannot be told from its hash: a tenant denies by device id, and leaves
 * the rest to who has a role in every account (F66). @throws Problem 403
 */
function demandOwnership(operator: Operator, account: string, denied: readonly DenyTarget[]): void {
  const foreign = denied.find((target) => target.kind !== 'device' || target.account !== account);
  if (foreign === undefined || isAllowed(operator.grants, 'denylist:write', '*')) return;
  throw new Problem(
    403,
    'forbidden',
    `targets: only devices of account "${account}" without a role in every account`,
    {
      field: 'targets',
    },
  );
}
