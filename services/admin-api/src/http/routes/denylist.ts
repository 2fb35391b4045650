import type { Bus } from '@signet/bus';
import {
  DenyKind,
  DenyTarget,
  DeviceId,
  DeviceQuery,
  denyDevices,
  denyTargets,
  Fingerprint,
  KeyId,
  liftDevices,
  liftTargets,
  listDenied,
  SerialNumber,
} from '@signet/contracts';
import { Problem } from '@signet/service';
import { z } from 'zod';
import type { Operator } from '../../domain/token/api-token.ts';
import { isAllowed } from '../../domain/token/permission.ts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, MIB, nothing, paging } from './shapes.ts';

const targets = z.array(DenyTarget).min(1).max(1000);
/** A group of 10,000 devices is stored before the call returns; their sessions end long before. */
const GROUP_DEADLINE = 120_000;

const aboutDevices = z.object({
  devices: DeviceQuery,
  reason: z.string().max(256).default('by an operator'),
  expiresAt: z.number().int().optional(),
});

export function denylistRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/denylist',
      summary: 'What is denied for this account, with reason and source; searched by text or by exact name',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({
        kind: DenyKind.optional(),
        text: z.string().min(1).max(128).optional(),
        device: DeviceId.optional(),
        fingerprint: Fingerprint.optional(),
        key: Fingerprint.optional(),
        ca: KeyId.optional(),
        issuer: KeyId.optional(),
        serial: SerialNumber.optional(),
      }),
      response: listDenied.output,
      handle: ({ params, query }) => {
        const { kind, text, cursor, limit, ...names } = query;
        const target = targetOf(params.account, names);
        return bus.request(listDenied, {
          ...params,
          limit,
          ...(target === undefined ? {} : { target }),
          ...(kind === undefined ? {} : { kind }),
          ...(text === undefined ? {} : { text }),
          ...(cursor === undefined ? {} : { cursor }),
        });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/denylist',
      summary: 'Deny certificates, keys, devices, fingerprints or CAs; live sessions end',
      permission: 'denylist:write',
      params: inAccount,
      query: nothing,
      body: z.object({
        targets,
        reason: z.string().max(256).default('by an operator'),
        expiresAt: z.number().int().optional(),
      }),
      bodyBytes: 2 * MIB,
      response: denyTargets.output,
      handle: ({ params, body, operator }) => {
        demandOwnership(operator, params.account, body.targets);
        const asked = { ...params, ...body, by: operator.name, askedAt: new Date().toISOString() };
        return bus.request(denyTargets, asked);
      },
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/denylist/lift',
      summary: 'Take entries off the deny list; says what stays denied for other reasons',
      permission: 'denylist:write',
      params: inAccount,
      query: nothing,
      body: z.object({ targets }),
      bodyBytes: 2 * MIB,
      response: liftTargets.output,
      handle: ({ params, body, operator }) => {
        demandOwnership(operator, params.account, body.targets);
        return bus.request(liftTargets, { ...params, ...body, by: operator.name });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/denylist/devices',
      summary: 'Deny up to 10,000 devices by id, or all of a group, state or model, in one call',
      permission: 'denylist:write',
      params: inAccount,
      query: nothing,
      body: aboutDevices,
      bodyBytes: 2 * MIB,
      response: denyDevices.output,
      handle: ({ params, body, operator }) => {
        const asked = { ...params, ...body, by: operator.name, askedAt: new Date().toISOString() };
        return bus.request(denyDevices, asked, { deadlineMs: GROUP_DEADLINE });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/denylist/devices/lift',
      summary: 'Take devices off the deny list by id, group, state or model',
      permission: 'denylist:write',
      params: inAccount,
      query: nothing,
      body: z.object({ devices: DeviceQuery }),
      bodyBytes: 2 * MIB,
      response: liftDevices.output,
      handle: ({ params, body, operator }) =>
        bus.request(liftDevices, { ...params, ...body, by: operator.name }, { deadlineMs: GROUP_DEADLINE }),
    }),
  ];
}

function targetOf(
  account: string,
  names: {
    readonly device?: string | undefined;
    readonly fingerprint?: string | undefined;
    readonly key?: string | undefined;
    readonly ca?: string | undefined;
    readonly issuer?: string | undefined;
    readonly serial?: string | undefined;
  },
): DenyTarget | undefined {
  const { device, fingerprint, key, ca, issuer, serial } = names;
  if (device !== undefined) return { kind: 'device', account, deviceId: device };
  if (fingerprint !== undefined) return { kind: 'fingerprint', fingerprint };
  if (key !== undefined) return { kind: 'key', publicKeyHash: key };
  if (ca !== undefined) return { kind: 'ca', subjectKeyId: ca };
  if (issuer === undefined && serial === undefined) return undefined;
  if (issuer === undefined || serial === undefined)
    throw new Problem(400, 'invalid-input', 'serial: a certificate is named by issuer and serial', {
      field: 'serial',
    });
  return { kind: 'certificate', issuerKeyId: issuer, serialNumber: serial };
}

/**
 * Whose a key, a fingerprint or a certificate is cannot be told from its hash: a tenant denies by device id, and leaves
 * the rest to who has a role in every account (F66). @throws Problem 403
 */
function demandOwnership(operator: Operator, account: string, denied: readonly DenyTarget[]): void {
  const foreign = denied.find((target) => target.kind !== 'device' || target.account !== account);
  if (foreign === undefined || isAllowed(operator.grants, 'denylist:write', '*')) return;
  throw new Problem(
    403,
    'forbidden',
    `targets: only devices of account "${account}" without a role in every account`,
    {
      field: 'targets',
    },
  );
}
