import type { Bus } from '@signet/bus';
import {
  type AuthorityRequest,
  addAuthority,
  createAuthorities,
  describeAuthorities,
  finishRootReplacement,
  registerRoot,
  replaceRoot,
  requestAuthority,
  rootReplacement,
  rotateServerCertificates,
  setAuthorityState,
  setFallBack,
  uploadAuthority,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { asked } from './asked.ts';
import { inAccount, MIB, nothing } from './shapes.ts';

/** What the path and the caller say, a body does not say again. */
const said = { account: true, by: true } as const;
const base = '/v1/accounts/{account}/authorities';
/** RSA keys take their time, in a token above all. */
const KEYS_DEADLINE_MS = 60_000;

/** CAs of an account: made by Signet, or below a root that the account keeps itself. */
export function authorityRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: base,
      summary: 'The CAs of an account, its open requests, and the CAs of the platform that serve it',
      permission: 'devices:read',
      params: inAccount,
      query: nothing,
      response: describeAuthorities.output,
      handle: ({ params }) => bus.request(describeAuthorities, params),
    }),
    route({
      method: 'POST',
      path: base,
      summary: 'Make CAs of an account, and its root first where it has none: factory, issuing and server CA',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: createAuthorities.input.omit(said),
      response: createAuthorities.output,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(
          createAuthorities,
          { ...params, ...body, by: operator.name },
          { deadlineMs: KEYS_DEADLINE_MS },
        ),
    }),
    route({
      method: 'POST',
      path: `${base}/actions/register-root`,
      summary: 'Register the root that the account keeps itself; the statement is signed with its key',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: registerRoot.input.omit(said),
      response: registerRoot.output,
      handle: ({ params, body, operator }) =>
        bus.request(registerRoot, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: `${base}/actions/request`,
      summary: 'Make the key of an online CA, and the CSR that the account’s root is to sign',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: requestAuthority.input.omit(said),
      response: requestAuthority.output as z.ZodType<AuthorityRequest>,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(
          requestAuthority,
          { ...params, ...body, by: operator.name },
          { deadlineMs: KEYS_DEADLINE_MS },
        ),
    }),
    route({
      method: 'POST',
      path: `${base}/actions/upload`,
      summary: 'Upload the certificate that the account’s root signed for a request',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: uploadAuthority.input.omit(said),
      response: uploadAuthority.output,
      handle: ({ params, body, operator }) =>
        bus.request(uploadAuthority, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: `${base}/actions/add`,
      summary: 'Add a CA whose key the account keeps: what it signs offline is accepted',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: addAuthority.input.omit({ ...said, byPlatform: true }),
      response: addAuthority.output,
      handle: ({ params, body, operator, note }) => {
        if (body.waiver !== undefined) note(`proof of possession waived: ${body.waiver}`);
        return bus.request(addAuthority, { ...params, ...body, ...asked(operator) });
      },
    }),
    route({
      method: 'POST',
      path: `${base}/{authorityId}/state`,
      summary: 'Disable a CA, put it back in force, or revoke it for good; live sessions below it end',
      permission: 'pki:write',
      params: inAccount.extend({ authorityId: z.string().max(64) }),
      query: nothing,
      body: setAuthorityState.input.omit({ ...said, authorityId: true }),
      response: setAuthorityState.output,
      handle: ({ params, body, operator }) =>
        bus.request(setAuthorityState, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: `${base}/actions/fall-back`,
      summary: 'Let the platform’s CA of a kind issue while the account’s own are out of force, or no longer',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: setFallBack.input.omit({ ...said, byPlatform: true }),
      response: setFallBack.output,
      handle: ({ params, body, operator }) =>
        bus.request(setFallBack, { ...params, ...body, ...asked(operator) }),
    }),
    route({
      method: 'POST',
      path: `${base}/actions/replace-root`,
      summary: 'Begin to replace the account’s root: devices are given both roots from now on',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: replaceRoot.input.omit(said),
      bodyBytes: 8 * MIB,
      response: replaceRoot.output,
      handle: ({ params, body, operator }) =>
        bus.request(replaceRoot, { ...params, ...body, by: operator.name }, { deadlineMs: KEYS_DEADLINE_MS }),
    }),
    route({
      method: 'GET',
      path: `${base}/replacement`,
      summary: 'How many devices have the new root, by account, and which have not',
      permission: 'devices:read',
      params: inAccount,
      query: nothing,
      response: rootReplacement.output,
      handle: ({ params }) => bus.request(rootReplacement, params),
    }),
    route({
      method: 'POST',
      path: `${base}/actions/finish-replacement`,
      summary: 'Put the old root out of force; refused while devices would be stranded, unless forced',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: finishRootReplacement.input.omit(said),
      response: finishRootReplacement.output,
      handle: ({ params, body, operator }) =>
        bus.request(finishRootReplacement, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: '/v1/authorities/actions/rotate-tls',
      summary: 'Have every service of the platform get a new TLS certificate',
      permission: 'platform:write',
      params: nothing,
      query: nothing,
      response: rotateServerCertificates.output,
      handle: ({ operator }) => bus.request(rotateServerCertificates, { by: operator.name }),
    }),
  ];
}
