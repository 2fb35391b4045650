import {
  GroupName,
  identifyDevices,
  listClaimedInto,
  newEvent,
  type SignetEvent,
  settleClaimed,
} from '@signet/contracts';
import { all, insertIfAbsent } from '@signet/store';
import { changeConfig } from '../config/change-config.ts';
import { noteLayerChange } from '../config/device-config.ts';
import { sharedLayerId } from '../config/layer.ts';
import type { LayerStore } from '../config/readers.ts';
import { type Asks, idOf } from '../devices/known-devices.ts';
import { iso } from '../documents/documents.ts';
import { type GroupRecord, type Groups, type LabelRecords, matchesLabels } from './group.ts';

export type GroupStore = LayerStore & { readonly groups: Groups; readonly labels: LabelRecords };
export type GroupContext = GroupStore & Asks & { readonly now: () => number };

export type Place = { readonly account: string; readonly group: string; readonly deviceId: string };
export type Why = { readonly by: string; readonly now: number };

export function memberId({ account, group, deviceId }: Place): string {
  return `${account}/${group}/${deviceId}`;
}

/**
 * Puts a device into a group. Whether the group exists and the device matches its labels is checked after the insert, so
 * that whoever removes the group later finds the member.
 * @returns whether it was not in it, and is now
 */
export async function joinGroup(ctx: GroupStore, place: Place, why: Why): Promise<boolean> {
  const { account, group, deviceId } = place;
  const id = memberId(place);
  const isNew = await insertIfAbsent(ctx.members, { id, account, group, deviceId, since: iso(why.now) });
  if (!isNew) return false;
  if (!(await belongs(ctx, place))) {
    await ctx.members.remove(id);
    return false;
  }
  await noteGroupLayer(ctx, place, { ...why, reason: `came into group ${group}` });
  return true;
}

async function belongs(ctx: GroupStore, { account, group, deviceId }: Place): Promise<boolean> {
  const record = await ctx.groups.get(`${account}/${group}`);
  if (record?.labels === undefined) return record !== undefined;
  const held = await ctx.labels.get(idOf({ account, deviceId }));
  return matchesLabels(record.labels, held?.labels ?? {});
}

/** Takes a device out of a group. @returns whether it was in it */
export async function leaveGroup(ctx: GroupStore, place: Place, why: Why): Promise<boolean> {
  if (!(await ctx.members.remove(memberId(place)))) return false;
  await noteGroupLayer(ctx, place, { ...why, reason: `left group ${place.group}` });
  return true;
}

/** A device that came into a group, or left it, reads another config if the group has one. */
async function noteGroupLayer(
  ctx: GroupStore,
  { account, group, deviceId }: Place,
  why: Why & { readonly reason: string },
): Promise<void> {
  const layer = await ctx.layers.get(sharedLayerId(account, group));
  if (layer === undefined || layer.files.length === 0) return;
  const files = layer.files.map(({ name }) => name);
  await changeConfig(ctx, { account, deviceId }, (config) =>
    noteLayerChange(config, { ...why, layer: `group ${group}`, files }),
  );
}

/** Claims read at a time. */
const AT_ONCE = 200;

/**
 * Brings devices into the groups that their claims name. A claim is one write, and its event may come late, so whoever
 * acts on a group first reads what was claimed into it. Without `group`: for all groups of the account.
 * @throws OperationError `unavailable` where `bootstrap` does not answer: nothing is done on half a group
 */
export async function settleClaims(
  ctx: GroupContext,
  { account, group }: { readonly account: string; readonly group?: string | undefined },
): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await ctx.bus.request(listClaimedInto, {
      ...{ account, limit: AT_ONCE },
      ...(group === undefined ? {} : { group }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    const claims = page.items;
    await Promise.all(
      claims.map(({ deviceId, group: name, claimedAt }) =>
        joinByClaim(ctx, { account, deviceId, group: name, by: 'claim' }, Date.parse(claimedAt)),
      ),
    );
    if (claims.length > 0) {
      const settled = claims.map(({ deviceId, claimedAt }) => ({ deviceId, claimedAt }));
      const { gone } = await ctx.bus.request(settleClaimed, { account, claims: settled });
      for (const { deviceId, group: name } of claims.filter((claim) => gone.includes(claim.deviceId)))
        await leaveGroup(ctx, { account, group: name, deviceId }, { by: 'claim', now: ctx.now() });
    }
    cursor = page.next;
  } while (cursor !== undefined);
}

/** Puts a device into the group that its claim names, which is created if it does not exist. */
export async function joinByClaim(
  ctx: GroupStore,
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
    ...{ account, name: group, createdAt: iso(now), createdBy: by },
  };
  await insertIfAbsent(ctx.groups, record, [groupEvent(record, 'created', { by, now })]);
  const { labels } = (await ctx.groups.get(record.id)) ?? {};
  if (labels === undefined) await joinGroup(ctx, { account, group, deviceId }, { by, now });
}

/** The event of a claim that names a group. It may come after the device left again, or after its claim was settled. */
export async function joinClaimedDevice(
  ctx: GroupContext & { readonly whenServed: <T>(ask: () => Promise<T>) => Promise<T> },
  { account, subject: deviceId, data, time }: SignetEvent<'DEVICE_CLAIMED'>,
): Promise<void> {
  if (data.group === undefined) return;
  await ctx.whenServed(() => settleClaims(ctx, { account }));
  const { devices } = await ctx.whenServed(() =>
    ctx.bus.request(identifyDevices, { account, deviceIds: [deviceId] }),
  );
  if (devices.length === 0 || devices.some(({ groupPending }) => groupPending !== undefined)) return;
  await joinByClaim(ctx, { account, deviceId, group: data.group, by: data.by }, Date.parse(time));
}

/** Fills a new group that goes by labels with the devices that match them. */
export async function fillGroup(
  ctx: GroupStore,
  { account, group: name }: Omit<Place, 'deviceId'>,
  why: Why,
): Promise<void> {
  const group = await ctx.groups.get(`${account}/${name}`);
  if (group?.labels === undefined) return;
  for await (const { deviceId, labels } of all(ctx.labels, { index: 'byAccount', equals: { account } }))
    if (matchesLabels(group.labels, labels)) await joinGroup(ctx, { account, group: name, deviceId }, why);
}

/** Takes the devices out of a group that was removed at `until`. One that was made again since keeps its own devices. */
export async function emptyGroup(
  ctx: GroupStore,
  { account, group, until }: Omit<Place, 'deviceId'> & { readonly until: string },
  why: Why,
): Promise<void> {
  for await (const { deviceId, since } of all(ctx.members, {
    index: 'byGroup',
    equals: { account, group },
  }))
    if (since <= until) await leaveGroup(ctx, { account, group, deviceId }, why);
  if ((await ctx.groups.get(`${account}/${group}`)) === undefined)
    await ctx.layers.remove(sharedLayerId(account, group));
}

export function groupEvent(
  { account, name }: Pick<GroupRecord, 'account' | 'name'>,
  change: 'created' | 'removed' | 'devices',
  { by, now: time }: Why,
): SignetEvent {
  const data = { group: name, change, by };
  return newEvent('GROUP_CHANGED', { account, subject: name, time, data });
}
