import type { Bus } from '@signet/bus';
import { ConfigFile, DeviceId, getDeviceConfig, setDeviceConfig } from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing } from './shapes.ts';

const device = inAccount.extend({ deviceId: DeviceId });

export function provisioningRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/devices/{deviceId}/config',
      summary: "The files of a device's config",
      permission: 'devices:read',
      params: device,
      query: nothing,
      response: getDeviceConfig.output,
      handle: ({ params }) => bus.request(getDeviceConfig, params),
    }),
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/devices/{deviceId}/config',
      summary: "Write files of a device's config, merged by name; refused while a rotation holds it",
      permission: 'devices:write',
      params: device,
      query: nothing,
      body: z.object({ files: z.array(ConfigFile).min(1).max(100), reason: z.string().max(256).default('') }),
      response: setDeviceConfig.output,
      handle: ({ params, body, operator }) =>
        bus.request(setDeviceConfig, { ...params, ...body, by: operator.name }),
    }),
  ];
}
