import type { Bus } from '@signet/bus';
import {
  createProvisioningRequest,
  DeviceId,
  getProvisioningRequest,
  listProvisioningRequests,
  ProvisioningPlan,
  ProvisioningState,
  stopProvisioningRequest,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, MIB, nothing, paging } from './shapes.ts';

const BASE = '/v1/accounts/{account}/provisioning-requests';
const one = inAccount.extend({ requestId: z.uuid() });

/** The handoff of devices over MQTT, prepared by operators. */
export function provisioningRequestRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: BASE,
      summary: 'Prepare the handoff of a device over MQTT: who may ask for its bundle, when, and how often',
      permission: 'devices:write',
      params: inAccount,
      query: nothing,
      body: ProvisioningPlan,
      bodyBytes: 8 * MIB,
      response: createProvisioningRequest.output,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(createProvisioningRequest, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: BASE,
      summary: 'List provisioning requests, the newest first',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ deviceId: DeviceId.optional(), state: ProvisioningState.optional() }),
      response: listProvisioningRequests.output,
      handle: ({ params, query }) => bus.request(listProvisioningRequests, { ...params, ...query }),
    }),
    route({
      method: 'GET',
      path: `${BASE}/{requestId}`,
      summary: 'A provisioning request: its state, its window, and what failed last',
      permission: 'devices:read',
      params: one,
      query: nothing,
      response: getProvisioningRequest.output,
      handle: ({ params }) => bus.request(getProvisioningRequest, params),
    }),
    route({
      method: 'POST',
      path: `${BASE}/{requestId}/stop`,
      summary: 'Stop a provisioning request: it delivers nothing any more',
      permission: 'devices:write',
      params: one,
      query: nothing,
      body: z.object({ reason: z.string().max(256).optional() }),
      response: stopProvisioningRequest.output,
      handle: ({ params, body, operator }) =>
        bus.request(stopProvisioningRequest, { ...params, ...body, by: operator.name }),
    }),
  ];
}
