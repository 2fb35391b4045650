import type { Bus } from '@signet/bus';
import {
  changeProfile,
  createProfile,
  DeviceId,
  dryRunProfile,
  listProfiles,
  ProfileChanges,
  ProfileName,
  removeProfile,
  setDeviceProfile,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing } from './shapes.ts';

const named = inAccount.extend({ name: ProfileName });

/** Enrollment profiles: what an account issues, to whom, and how. */
export function profileRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/profiles',
      summary: 'List enrollment profiles, the default one among them',
      permission: 'devices:read',
      params: inAccount,
      query: nothing,
      response: listProfiles.output,
      handle: ({ params }) => bus.request(listProfiles, params),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/profiles',
      summary: 'Make an enrollment profile; its secrets, if it has any, are shown this once',
      permission: 'profiles:write',
      params: inAccount,
      query: nothing,
      body: z.object({ name: ProfileName, settings: ProfileChanges.default({}) }).strict(),
      response: createProfile.output,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(createProfile, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/profiles/{name}',
      summary: 'Change settings of an enrollment profile; those that are not given stay, null takes one away',
      permission: 'profiles:write',
      params: named,
      query: nothing,
      body: z
        .object({ settings: ProfileChanges.default({}), newSecrets: z.boolean().default(false) })
        .strict(),
      response: changeProfile.output,
      handle: ({ params, body, operator }) =>
        bus.request(changeProfile, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/accounts/{account}/profiles/{name}',
      summary: 'Remove an enrollment profile; what it issued renews under the default one',
      permission: 'profiles:write',
      params: named,
      query: nothing,
      response: removeProfile.output,
      handle: ({ params, operator }) => bus.request(removeProfile, { ...params, by: operator.name }),
    }),
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/devices/{deviceId}/profile',
      summary: 'Move a device to another enrollment profile: it renews under that one from now on',
      permission: 'devices:write',
      params: inAccount.extend({ deviceId: DeviceId }),
      query: nothing,
      body: setDeviceProfile.input.pick({ profile: true }),
      response: setDeviceProfile.output,
      handle: ({ params, body, operator }) =>
        bus.request(setDeviceProfile, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/profiles/{name}/dry-run',
      summary: 'What a profile, as it is or with other settings, would make of a CSR; nothing is issued',
      permission: 'devices:read',
      params: named,
      query: nothing,
      body: z.object({
        deviceId: DeviceId,
        csr: z.string().max(65_536),
        settings: ProfileChanges.optional(),
      }),
      response: dryRunProfile.output,
      handle: ({ params, body: { settings, ...body } }) =>
        bus.request(dryRunProfile, { ...params, ...body, ...(settings === undefined ? {} : { settings }) }),
    }),
  ];
}
