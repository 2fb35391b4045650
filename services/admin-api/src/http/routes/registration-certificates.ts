import type { Bus } from '@signet/bus';
import {
  createRegistrationCertificate,
  listRegistrationCertificates,
  RegistrationCertificate,
  revokeRegistrationCertificate,
} from '@signet/contracts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const { account: _account, by: _by, ...wanted } = createRegistrationCertificate.input.shape;
const one = inAccount.extend({ name: RegistrationCertificate.shape.name });

/** Certificates that devices ask for their registration with. */
export function registrationCertificateRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/registration-certificates',
      summary: 'Make a registration certificate for a CSR: it registers devices, and does nothing else',
      permission: 'devices:write',
      params: inAccount,
      query: nothing,
      body: inAccount.extend(wanted).omit({ account: true }),
      response: createRegistrationCertificate.output,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(createRegistrationCertificate, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/registration-certificates',
      summary: 'List registration certificates, by name',
      permission: 'devices:read',
      params: inAccount,
      query: paging,
      response: listRegistrationCertificates.output,
      handle: ({ params, query }) => bus.request(listRegistrationCertificates, { ...params, ...query }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/registration-certificates/{name}/revoke',
      summary: 'Revoke a registration certificate: from now on it registers nothing',
      permission: 'devices:write',
      params: one,
      query: nothing,
      response: revokeRegistrationCertificate.output,
      handle: ({ params, operator }) =>
        bus.request(revokeRegistrationCertificate, { ...params, by: operator.name }),
    }),
  ];
}
