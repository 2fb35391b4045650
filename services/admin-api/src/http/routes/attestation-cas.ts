import type { Bus } from '@signet/bus';
import { addAttestationCa, Fingerprint, listAttestationCas, removeAttestationCa } from '@signet/contracts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing } from './shapes.ts';

const path = '/v1/accounts/{account}/attestation-cas';

/** Makers of TPMs that an account trusts. */
export function attestationCaRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path,
      summary: 'CAs of makers of TPMs that the account trusts',
      permission: 'devices:read',
      params: inAccount,
      query: nothing,
      response: listAttestationCas.output,
      handle: ({ params }) => bus.request(listAttestationCas, params),
    }),
    route({
      method: 'POST',
      path,
      summary: 'Trust a CA of a maker of TPMs, or change the rules of one that is trusted',
      permission: 'pki:write',
      params: inAccount,
      query: nothing,
      body: addAttestationCa.input.pick({ certificate: true, rules: true }),
      response: addAttestationCa.output,
      handle: ({ params, body, operator }) =>
        bus.request(addAttestationCa, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'DELETE',
      path: `${path}/{id}`,
      summary: 'Trust a CA of a maker of TPMs no more: no TPM below it enrols or renews',
      permission: 'pki:write',
      params: inAccount.extend({ id: Fingerprint }),
      query: nothing,
      response: removeAttestationCa.output,
      handle: ({ params, operator }) => bus.request(removeAttestationCa, { ...params, by: operator.name }),
    }),
  ];
}
