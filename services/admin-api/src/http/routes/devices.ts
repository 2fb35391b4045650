import type { Bus } from '@signet/bus';
import {
  blockDevices,
  claimDevice,
  Device,
  DeviceId,
  DeviceState,
  Fingerprint,
  GroupName,
  listDevices,
  type OperationOutput,
  resetDevices,
  retireDevices,
  unblockDevices,
  unclaimDevices,
} from '@signet/contracts';
import { z } from 'zod';
import type { Budgets } from '../../domain/budget/budget.ts';
import { DeviceView, type DeviceViewer } from '../../domain/device/device-view.ts';
import { claimWithinBudget } from '../budgeted.ts';
import { callsFor } from '../group-selection.ts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const selection = z
  .object({
    deviceIds: z.array(DeviceId).max(1000).optional(),
    fingerprints: z.array(Fingerprint).max(1000).optional(),
    group: GroupName.optional(),
    reason: z.string().max(256).default('by an operator'),
  })
  .refine(({ deviceIds, fingerprints, group }) => (deviceIds ?? fingerprints ?? group) !== undefined, {
    path: ['deviceIds'],
    message: 'name the devices by deviceIds, fingerprints or group',
  });

const actions = {
  block: blockDevices,
  unblock: unblockDevices,
  revoke: retireDevices,
  reset: resetDevices,
  unclaim: unclaimDevices,
} as const;
const ACTION_DEADLINE = 60_000;

export function deviceRoutes(bus: Bus, viewDevice: DeviceViewer, budgets: Budgets): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/devices',
      summary:
        'Claim a device by the fingerprint of its bootstrap certificate, or the claim code of its label',
      permission: 'devices:claim',
      params: inAccount,
      query: nothing,
      body: z
        .object({
          fingerprint: Fingerprint.optional(),
          code: z.string().max(256).optional(),
          deviceId: DeviceId.optional(),
          group: GroupName.optional(),
        })
        .refine(({ fingerprint, code }) => (fingerprint ?? code) !== undefined, {
          path: ['fingerprint'],
          message: 'name the device by fingerprint or code',
        }),
      response: Device,
      status: 201,
      isBudgeted: true,
      handle: ({ params, body, operator }) =>
        claimWithinBudget({ bus, budgets }, operator, params.account, body, () =>
          bus.request(claimDevice, { ...params, ...body, by: operator.name }),
        ),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/devices',
      summary: 'List the devices of an account',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ state: DeviceState.optional(), group: GroupName.optional() }),
      response: listDevices.output,
      handle: ({ params, query }) => bus.request(listDevices, { ...params, ...query }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/devices/{deviceId}',
      summary:
        'All that the platform knows of a device: state, certificates, keys, session, and why it was refused',
      permission: 'devices:read',
      params: inAccount.extend({ deviceId: DeviceId }),
      query: nothing,
      response: DeviceView,
      handle: ({ params }) => viewDevice(params.account, params.deviceId),
    }),
    ...Object.entries(actions).map(([verb, operation]) =>
      route({
        method: 'POST',
        path: `/v1/accounts/{account}/devices/actions/${verb}`,
        summary: summaryOf[verb as keyof typeof actions],
        permission: 'devices:write',
        params: inAccount,
        query: nothing,
        body: selection,
        response: operation.output,
        handle: async ({ params, body: { reason, ...selected }, operator }) => {
          const done: OperationOutput<typeof operation> = { changed: [], failed: [] };
          for (const part of await callsFor(bus, params.account, selected)) {
            const input = { ...params, ...part, reason, by: operator.name };
            const { changed, failed } = await bus.request(operation, input, { deadlineMs: ACTION_DEADLINE });
            done.changed.push(...changed);
            done.failed.push(...failed);
          }
          return done;
        },
      }),
    ),
  ];
}

const summaryOf = {
  block: 'Block devices, by id, fingerprint or group: refused everywhere until unblocked',
  unblock: 'Lift a block',
  revoke: 'Retire devices, finally: their certificates are revoked and their sessions end',
  reset:
    'Have devices start anew in their account: certificates revoked, the next handoff is a new onboarding',
  unclaim: 'Give devices up: they leave the account as they left the factory, certificates revoked',
} as const satisfies Record<keyof typeof actions, string>;
