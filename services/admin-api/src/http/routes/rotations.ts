import type { Bus } from '@signet/bus';
import {
  CampaignDeviceState,
  CampaignPlan,
  cancelRotation,
  changeCampaign,
  DeviceId,
  getCampaign,
  listCampaignDevices,
  listCampaigns,
  listRotations,
  startCampaign,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const CAMPAIGNS = '/v1/accounts/{account}/campaigns';
const one = inAccount.extend({ campaignId: z.uuid() });

/** Rotations of keys: those under way, and campaigns that order them. */
export function rotationRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/rotations',
      summary: 'Rotations under way: a next key is announced, and waits for its first contact',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ stalled: z.enum(['true', 'false']).default('false') }),
      response: listRotations.output,
      handle: ({ params, query: { stalled, ...page } }) =>
        bus.request(listRotations, { ...params, ...page, stalled: stalled === 'true' }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/devices/{deviceId}/rotation/cancel',
      summary:
        'End the rotation of a device and unlock its config; its announced key stays good, unless it is revoked',
      permission: 'certificates:revoke',
      params: inAccount.extend({ deviceId: DeviceId }),
      query: nothing,
      body: z.object({
        revoke: z.boolean().default(false).describe('Drop every announced key and revoke its certificate'),
        force: z.boolean().default(false).describe('Although the device has confirmed its announced key'),
      }),
      response: cancelRotation.output,
      handle: ({ params, body, operator }) =>
        bus.request(cancelRotation, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: CAMPAIGNS,
      summary:
        'Rotate the keys of devices, of a group, or of all whose certificates end before a date, at a rate',
      permission: 'devices:write',
      params: inAccount,
      query: nothing,
      body: CampaignPlan,
      response: startCampaign.output,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(startCampaign, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: CAMPAIGNS,
      summary: 'List campaigns, the newest first, with how many devices are in which state',
      permission: 'devices:read',
      params: inAccount,
      query: paging,
      response: listCampaigns.output,
      handle: ({ params, query }) => bus.request(listCampaigns, { ...params, ...query }),
    }),
    route({
      method: 'GET',
      path: `${CAMPAIGNS}/{campaignId}`,
      summary: 'A campaign, and how many of its devices are in which state',
      permission: 'devices:read',
      params: one,
      query: nothing,
      response: getCampaign.output,
      handle: ({ params }) => bus.request(getCampaign, params),
    }),
    route({
      method: 'GET',
      path: `${CAMPAIGNS}/{campaignId}/devices`,
      summary: 'The devices of a campaign, and why those that failed did',
      permission: 'devices:read',
      params: one,
      query: paging.extend({ state: CampaignDeviceState.optional() }),
      response: listCampaignDevices.output,
      handle: ({ params, query }) => bus.request(listCampaignDevices, { ...params, ...query }),
    }),
    ...(['pause', 'resume', 'cancel'] as const).map((action) =>
      route({
        method: 'POST',
        path: `${CAMPAIGNS}/{campaignId}/${action}`,
        summary: summaryOf[action],
        permission: 'devices:write',
        params: one,
        query: nothing,
        body: z.object({ reason: z.string().max(256).optional() }),
        response: changeCampaign.output,
        handle: ({ params, body, operator }) =>
          bus.request(changeCampaign, { ...params, ...body, action, by: operator.name }),
      }),
    ),
  ];
}

const summaryOf = {
  pause: 'Pause a campaign: no further device is ordered',
  resume: 'Resume a campaign; what failed so far is looked past',
  cancel: 'Cancel a campaign: devices not yet started are skipped, the others finish',
} as const;
