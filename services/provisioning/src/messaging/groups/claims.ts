import type { Bus } from '@signet/bus';
import { GroupName, listClaimedInto, settleClaimed } from '@signet/contracts';
import { insertOnce } from '../upsert.ts';
import { groupChanged } from './group-changed.ts';
import { type GroupStore, join, leave } from './membership.ts';

type Deps = { readonly bus: Bus; readonly store: GroupStore; readonly now: () => number };

/** Claims read at a time. */
const AT_ONCE = 200;

/**
 * Brings devices into the groups that their claims name: a claim is one write, and whoever acts on a group reads first
 * what was claimed into it, however far the event of the claim has come. Without `group` for all of the account.
 * @throws OperationError `unavailable` where `bootstrap` does not answer: nothing is done on half a group
 */
export async function settleClaims(deps: Deps, account: string, group?: string): Promise<void> {
  const { bus, store, now } = deps;
  let cursor: string | undefined;
  do {
    const page = await bus.request(listClaimedInto, {
      ...{ account, limit: AT_ONCE },
      ...(group === undefined ? {} : { group }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    const claims = page.items;
    await Promise.all(
      claims.map(({ deviceId, group: name, claimedAt }) =>
        joinOfClaim(store, { account, deviceId, group: name, by: 'claim' }, Date.parse(claimedAt)),
      ),
    );
    if (claims.length > 0) {
      const asked = claims.map(({ deviceId, claimedAt }) => ({ deviceId, claimedAt }));
      const { gone } = await bus.request(settleClaimed, { account, claims: asked });
      for (const { deviceId, group: name } of claims.filter((claim) => gone.includes(claim.deviceId)))
        await leave(store, { account, group: name, deviceId }, { by: 'claim', now: now() });
    }
    cursor = page.next;
  } while (cursor !== undefined);
}

/** The group that a claim names, made if it is not there. */
export async function joinOfClaim(
  store: GroupStore,
  claim: {
    readonly account: string;
    readonly deviceId: string;
    readonly group: string | undefined;
    readonly by: string;
  },
  now: number,
): Promise<void> {
  const { account, deviceId, group, by } = claim;
  if (group === undefined || !GroupName.safeParse(group).success) return;
  const record = {
    id: `${account}/${group}`,
    ...{ account, name: group, createdAt: new Date(now).toISOString(), createdBy: by },
  };
  await insertOnce(store.groups, record, [groupChanged(record, 'created', by, now)]);
  const { labels } = (await store.groups.get(record.id)) ?? {};
  if (labels === undefined) await join(store, { account, group, deviceId }, { by, now });
}
