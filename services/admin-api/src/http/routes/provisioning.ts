import type { Bus } from '@signet/bus';
import {
  ConfigFiles,
  DeviceId,
  deleteDeviceConfig,
  GroupName,
  getConfigLog,
  getDeviceConfig,
  listUpdateEvents,
  listUpdates,
  MAX_CONFIG_FILES,
  setDeviceConfig,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, MIB, nothing, paging } from './shapes.ts';

const files = z.object({
  files: ConfigFiles.min(1),
  reason: z.string().max(256).default(''),
});
const names = z.object({
  names: z.array(z.string().max(255)).min(1).max(MAX_CONFIG_FILES),
  reason: z.string().max(256).default(''),
});
const device = inAccount.extend({ deviceId: DeviceId });
const DEVICE = '/v1/accounts/{account}/devices/{deviceId}';

/** Config of devices, layer by layer, and what devices report of it. */
export function provisioningRoutes(bus: Bus): AnyRoute[] {
  return [
    ...layerRoutes(
      bus,
      `${DEVICE}/config`,
      device,
      "a device's own config; refused while a rotation holds it",
    ),
    ...layerRoutes(
      bus,
      '/v1/accounts/{account}/groups/{group}/config',
      inAccount.extend({ group: GroupName }),
      "a group's config",
    ),
    ...layerRoutes(bus, '/v1/accounts/{account}/config', inAccount, "the account's config"),
    route({
      method: 'GET',
      path: `${DEVICE}/updates`,
      summary: 'Updates and rotations of a device as it reported them, the newest first',
      permission: 'devices:read',
      params: device,
      query: paging,
      response: listUpdates.output,
      handle: ({ params, query }) => bus.request(listUpdates, { ...params, ...query }),
    }),
    route({
      method: 'GET',
      path: `${DEVICE}/updates/{updateId}`,
      summary: 'What a device reported of one update, in the order in which it came',
      permission: 'devices:read',
      params: device.extend({ updateId: z.string().min(1).max(128) }),
      query: paging,
      response: listUpdateEvents.output,
      handle: ({ params, query }) => bus.request(listUpdateEvents, { ...params, ...query }),
    }),
  ];
}

type Layer = { account: string; deviceId?: string; group?: string };

/** The same four calls for every layer. */
function layerRoutes(bus: Bus, path: string, params: z.ZodType<Layer>, what: string): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path,
      summary: `Read ${what.split(';')[0]}`,
      permission: 'devices:read',
      params,
      query: nothing,
      response: getDeviceConfig.output,
      handle: ({ params: layer }) => bus.request(getDeviceConfig, layer),
    }),
    route({
      method: 'PUT',
      path,
      summary: `Write files of ${what}, merged by name`,
      permission: 'devices:write',
      params,
      query: nothing,
      body: files,
      bodyBytes: 8 * MIB,
      response: setDeviceConfig.output,
      handle: ({ params: layer, body, operator }) =>
        bus.request(setDeviceConfig, { ...layer, ...body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: `${path}/delete`,
      summary: `Take files out of ${what}`,
      permission: 'devices:write',
      params,
      query: nothing,
      body: names,
      response: deleteDeviceConfig.output,
      handle: ({ params: layer, body, operator }) =>
        bus.request(deleteDeviceConfig, { ...layer, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: `${path}/log`,
      summary: `The last 50 changes of ${what.split(';')[0]}, the newest first`,
      permission: 'devices:read',
      params,
      query: nothing,
      response: getConfigLog.output,
      handle: ({ params: layer }) => bus.request(getConfigLog, layer),
    }),
  ];
}
