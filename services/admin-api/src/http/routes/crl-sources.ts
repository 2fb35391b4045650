import type { Bus } from '@signet/bus';
import {
  addCrlSource,
  CrlSource,
  CrlSourceName,
  CrlSourceSettings,
  changeCrlSource,
  fetchCrlSource,
  getCrlSource,
  listCrlSources,
  removeCrlSource,
  uploadCrl,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, MIB, nothing, paging } from './shapes.ts';

const named = inAccount.extend({ name: CrlSourceName });
/** A CRL of a million entries takes minutes to be stored entry by entry; what it denies is denied long before. */
const CRL_DEADLINE = 900_000;

export function crlSourceRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/crl-sources',
      summary: 'Follow the CRLs of a foreign PKI: what they list is denied, its devices are blocked',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: addCrlSource.input.omit({ account: true, by: true }),
      response: CrlSource,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(addCrlSource, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/crl-sources',
      summary: 'The CRL sources of an account, with what was accepted last and what was not',
      permission: 'devices:read',
      params: inAccount,
      query: paging,
      response: listCrlSources.output,
      handle: ({ params, query }) => bus.request(listCrlSources, { ...params, ...query }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/crl-sources/{name}',
      summary: 'A CRL source',
      permission: 'devices:read',
      params: named,
      query: nothing,
      response: CrlSource,
      handle: ({ params }) => bus.request(getCrlSource, params),
    }),
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/crl-sources/{name}',
      summary: 'Change where its CRLs are, how often they are asked for, or what happens when it is stale',
      permission: 'pki:write',
      params: named,
      query: nothing,
      body: CrlSourceSettings,
      response: CrlSource,
      handle: ({ params, body, operator }) =>
        bus.request(changeCrlSource, { ...params, ...body, by: operator.name }, { deadlineMs: CRL_DEADLINE }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/crl-sources/{name}/fetch',
      summary: 'Ask for its CRLs now',
      permission: 'denylist:write',
      params: named,
      query: nothing,
      body: z.object({}).default({}),
      response: CrlSource,
      handle: ({ params }) => bus.request(fetchCrlSource, params, { deadlineMs: CRL_DEADLINE }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/crl-sources/{name}/uploads',
      summary: 'Upload a piece of a CRL (base64, at most 512 KiB); with the last the CRL is judged',
      permission: 'denylist:write',
      params: named,
      query: nothing,
      body: uploadCrl.input.omit({ account: true, name: true }),
      bodyBytes: 1 * MIB,
      response: uploadCrl.output,
      handle: ({ params, body }) =>
        bus.request(uploadCrl, { ...params, ...body }, { deadlineMs: CRL_DEADLINE }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/accounts/{account}/crl-sources/{name}',
      summary:
        'Follow a foreign PKI no longer: what it listed is lifted, devices that it blocked are unblocked',
      permission: 'pki:write',
      params: named,
      query: nothing,
      response: removeCrlSource.output,
      handle: ({ params, operator }) =>
        bus.request(removeCrlSource, { ...params, by: operator.name }, { deadlineMs: CRL_DEADLINE }),
    }),
  ];
}
