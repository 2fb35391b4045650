import { DeviceId, Fingerprint } from '@signet/contracts';
import { Problem } from '@signet/service';
import type { Collection } from '@signet/store';
import { z } from 'zod';
import { AuditEntry } from '../../domain/audit/audit-log.ts';
import { RefusalRecord } from '../../domain/device/refusal-record.ts';
import { isAllowed } from '../../domain/token/permission.ts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, paging } from './shapes.ts';

type Deps = {
  refusals: Collection<RefusalRecord, 'byAccount' | 'byDevice' | 'byFingerprint'>;
  audit: Collection<AuditEntry, 'byAccount'>;
};

/** What the API keeps itself: refusals of devices and the audit log, the newest first. */
export function recordRoutes({ refusals, audit }: Deps): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/refusals',
      summary:
        'Why devices were refused, by device or by the certificate that was shown; account "signet" has those of unknown peers',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ deviceId: DeviceId.optional(), fingerprint: Fingerprint.optional() }),
      response: z.object({ items: z.array(RefusalRecord), next: z.string().optional() }),
      handle: async ({ params: { account }, query: { deviceId, fingerprint, limit, cursor }, operator }) => {
        if (fingerprint !== undefined && !isAllowed(operator.grants, 'devices:read', '*')) {
          throw new Problem(
            403,
            'forbidden',
            'fingerprint: finding refusals by certificate needs a role in every account',
          );
        }
        return refusals.find({
          ...(fingerprint !== undefined
            ? { index: 'byFingerprint', equals: { fingerprint } }
            : deviceId !== undefined
              ? { index: 'byDevice', equals: { account, deviceId } }
              : { index: 'byAccount', equals: { account } }),
          descending: true,
          limit,
          ...(cursor === undefined ? {} : { cursor }),
        }) as Promise<{ items: RefusalRecord[]; next?: string }>;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/audit',
      summary:
        'Calls of this API that concern the account; a change has no status while it is under way, and for good where the process died in it',
      permission: 'audit:read',
      params: inAccount,
      query: paging,
      response: z.object({ items: z.array(AuditEntry), next: z.string().optional() }),
      handle: ({ params: { account }, query: { limit, cursor } }) =>
        audit.find({
          index: 'byAccount',
          equals: { account },
          descending: true,
          limit,
          ...(cursor === undefined ? {} : { cursor }),
        }) as Promise<{ items: AuditEntry[]; next?: string }>,
    }),
  ];
}
