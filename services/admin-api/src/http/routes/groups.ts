import type { Bus } from '@signet/bus';
import {
  changeGroup,
  createGroup,
  DeviceId,
  GroupName,
  getDeviceLabels,
  LabelQuery,
  labelDevice,
  listGroupDevices,
  listGroups,
  removeGroup,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const GROUPS = '/v1/accounts/{account}/groups';
const one = inAccount.extend({ group: GroupName });
const device = inAccount.extend({ deviceId: DeviceId });
/** A thousand devices are written before the call returns. */
const DEADLINE_MS = 60_000;

/** Groups of devices, and the labels that devices are grouped by. */
export function groupRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: GROUPS,
      summary: 'Make a group: of devices that are named, or of those that a query on labels fits at any time',
      permission: 'devices:write',
      params: inAccount,
      query: nothing,
      body: z.object({ group: GroupName, labels: LabelQuery.optional() }),
      response: createGroup.output,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(createGroup, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: GROUPS,
      summary: 'List groups, and how many devices are in each',
      permission: 'devices:read',
      params: inAccount,
      query: paging,
      response: listGroups.output,
      handle: ({ params, query }) => bus.request(listGroups, { ...params, ...query }),
    }),
    route({
      method: 'DELETE',
      path: `${GROUPS}/{group}`,
      summary: 'Remove a group: its devices lose its config, and nothing else',
      permission: 'devices:write',
      params: one,
      query: nothing,
      response: removeGroup.output,
      handle: ({ params, operator }) => bus.request(removeGroup, { ...params, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: `${GROUPS}/{group}/devices`,
      summary: 'The devices of a group',
      permission: 'devices:read',
      params: one,
      query: paging,
      response: listGroupDevices.output,
      handle: ({ params, query }) => bus.request(listGroupDevices, { ...params, ...query }),
    }),
    route({
      method: 'POST',
      path: `${GROUPS}/{group}/devices`,
      summary: 'Put devices into a group, and take devices out of it',
      permission: 'devices:write',
      params: one,
      query: nothing,
      body: changeGroup.input.pick({ add: true, remove: true }),
      response: changeGroup.output,
      handle: ({ params, body, operator }) =>
        bus.request(changeGroup, { ...params, ...body, by: operator.name }, { deadlineMs: DEADLINE_MS }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/devices/{deviceId}/labels',
      summary: 'The labels of a device, and the groups that it is in',
      permission: 'devices:read',
      params: device,
      query: nothing,
      response: getDeviceLabels.output,
      handle: ({ params }) => bus.request(getDeviceLabels, params),
    }),
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/devices/{deviceId}/labels',
      summary: 'Set labels of a device, and take others away; groups by labels follow at once',
      permission: 'devices:write',
      params: device,
      query: nothing,
      body: labelDevice.input.pick({ set: true, remove: true }),
      response: labelDevice.output,
      handle: ({ params, body, operator }) =>
        bus.request(labelDevice, { ...params, ...body, by: operator.name }),
    }),
  ];
}
