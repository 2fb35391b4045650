import type { Bus } from '@signet/bus';
import {
  DeviceId,
  listAuthorities,
  listCertificates,
  RevocationReason,
  releaseCertificate,
  revokeCertificates,
  SerialNumber,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

export function certificateRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/certificates',
      summary: 'List issued operational certificates',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ deviceId: DeviceId.optional() }),
      response: listCertificates.output,
      handle: ({ params, query }) => bus.request(listCertificates, { ...params, ...query }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/certificates/{serialNumber}/revoke',
      summary: 'Revoke one certificate; the device keeps its place and may enrol again',
      permission: 'certificates:revoke',
      params: inAccount.extend({ serialNumber: SerialNumber }),
      query: nothing,
      body: z.object({ reason: RevocationReason.default('unspecified') }),
      response: revokeCertificates.output,
      handle: ({ params, body, operator }) =>
        bus.request(revokeCertificates, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/certificates/{serialNumber}/release',
      summary: 'Lift the hold of a certificate that was revoked with certificateHold',
      permission: 'certificates:revoke',
      params: inAccount.extend({ serialNumber: SerialNumber }),
      query: nothing,
      body: z.object({}),
      response: releaseCertificate.output,
      handle: ({ params, operator }) => bus.request(releaseCertificate, { ...params, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: '/v1/authorities',
      summary: 'The CAs of the platform, public parts only',
      permission: 'devices:read',
      params: nothing,
      query: nothing,
      response: listAuthorities.output,
      handle: () => bus.request(listAuthorities, {}),
    }),
  ];
}
