import type { Bus } from '@signet/bus';
import { DeviceId, grantExpiredRenewal } from '@signet/contracts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing } from './shapes.ts';

export function renewalRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/devices/{deviceId}/renewal-grant',
      summary: 'Let a device renew once with a certificate that has expired, however long ago',
      permission: 'devices:write',
      params: inAccount.extend({ deviceId: DeviceId }),
      query: nothing,
      body: grantExpiredRenewal.input.pick({ hours: true }),
      response: grantExpiredRenewal.output,
      handle: ({ params, body, operator }) =>
        bus.request(grantExpiredRenewal, { ...params, ...body, by: operator.name }),
    }),
  ];
}
