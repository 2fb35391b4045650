import type { Bus } from '@signet/bus';
import { listCertificates } from '@signet/contracts';
import type { CampaignRecord } from '../../domain/campaigns/campaign.ts';
import type { ConfigStore } from '../config/collections.ts';
import { allOf } from '../pages.ts';

/** The devices that a campaign is for, each once. */
export async function* devicesOf(
  deps: { readonly bus: Bus; readonly store: Pick<ConfigStore, 'members'> },
  { account, deviceIds, group, expiresBefore }: CampaignRecord,
): AsyncGenerator<string> {
  if (deviceIds !== undefined) yield* new Set(deviceIds);
  if (group !== undefined)
    for await (const { deviceId } of allOf(deps.store.members, {
      index: 'byGroup',
      equals: { account, group },
    }))
      yield deviceId;
  if (expiresBefore !== undefined) yield* await expiring(deps.bus, account, expiresBefore);
}

/** Devices with a certificate that is not revoked, all of which end before `before`. */
async function expiring(bus: Bus, account: string, before: string): Promise<string[]> {
  const end = new Map<string, string>();
  let cursor: string | undefined;
  do {
    const page = await bus.request(
      listCertificates,
      { account, limit: 1000, ...(cursor === undefined ? {} : { cursor }) },
      { deadlineMs: 30_000 },
    );
    for (const { deviceId, notAfter, revokedAt } of page.items)
      if (revokedAt === undefined && notAfter > (end.get(deviceId) ?? '')) end.set(deviceId, notAfter);
    cursor = page.next;
  } while (cursor !== undefined);
  return [...end].filter(([, notAfter]) => Date.parse(notAfter) < Date.parse(before)).map(([id]) => id);
}
