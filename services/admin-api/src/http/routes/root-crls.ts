import type { Bus } from '@signet/bus';
import { describeRootCrl, uploadRootCrl } from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, MIB, nothing } from './shapes.ts';

const path = '/v1/accounts/{account}/authorities/{authorityId}/crl';
const ofAuthority = inAccount.extend({ authorityId: z.string().max(64) });

/** CRLs of roots that accounts keep themselves. */
export function rootCrlRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path,
      summary: 'What the next CRL of a root that the account keeps has to list, and which one is served',
      permission: 'devices:read',
      params: ofAuthority,
      query: nothing,
      response: describeRootCrl.output,
      handle: ({ params }) => bus.request(describeRootCrl, params),
    }),
    route({
      method: 'POST',
      path,
      summary: 'Upload the CRL that the account’s root signed offline',
      permission: 'pki:write',
      params: ofAuthority,
      query: nothing,
      body: uploadRootCrl.input.pick({ crl: true }),
      bodyBytes: 2 * MIB,
      response: uploadRootCrl.output,
      handle: ({ params, body, operator }) =>
        bus.request(uploadRootCrl, { ...params, ...body, by: operator.name }),
    }),
  ];
}
