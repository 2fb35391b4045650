import {
  type changeGroup as ChangeGroup,
  type createGroup as CreateGroup,
  type getDeviceLabels as GetDeviceLabels,
  type Group,
  type labelDevice as LabelDevice,
  type listGroupDevices as ListGroupDevices,
  type listGroups as ListGroups,
  OperationError,
  type OperationOutput,
  type ParsedInput,
} from '@signet/contracts';
import { all, insertIfAbsent, StoreError, unchanged } from '@signet/store';
import { groupsOf } from '../config/readers.ts';
import { findUnknown, idOf, requireDevices, unknownDevices } from '../devices/known-devices.ts';
import { iso, pageOf, upsert } from '../documents/documents.ts';
import { type DeviceLabels, type GroupRecord, matchesLabels } from './group.ts';
import {
  type GroupContext,
  type GroupStore,
  groupEvent,
  joinGroup,
  leaveGroup,
  settleClaims,
  type Why,
} from './membership.ts';

const MAX_LABELS = 64;

type GroupRef = { readonly account: string; readonly group: string };

/** @throws OperationError `group-exists` */
export async function createGroup(
  ctx: GroupContext,
  { account, group: name, labels, by }: ParsedInput<typeof CreateGroup>,
): Promise<Group> {
  const now = ctx.now();
  const record: GroupRecord = {
    id: `${account}/${name}`,
    ...{ account, name, createdAt: iso(now), createdBy: by },
    ...(labels === undefined ? {} : { labels }),
  };
  if (!(await insertIfAbsent(ctx.groups, record, [groupEvent(record, 'created', { by, now })])))
    throw new OperationError('group-exists', `group: account "${account}" has a group "${name}"`, {
      field: 'group',
    });
  return viewOf(ctx, record);
}

export async function listGroups(
  ctx: GroupContext,
  { account, limit, cursor }: ParsedInput<typeof ListGroups>,
): Promise<OperationOutput<typeof ListGroups>> {
  await settleClaims(ctx, { account });
  const query = { index: 'byAccount', equals: { account }, limit, cursor } as const;
  return pageOf(ctx.groups, query, (record) => viewOf(ctx, record));
}

/** Its devices leave it when its event is consumed. @throws OperationError `unknown-group` */
export async function removeGroup(ctx: GroupContext, asked: GroupRef & { readonly by: string }) {
  const { account, group, by } = asked;
  await settleClaims(ctx, { account, group });
  const { id } = await requireGroup(ctx, asked);
  await ctx.groups.update(id, (record) => ({
    document: record,
    events: [groupEvent(record, 'removed', { by, now: ctx.now() })],
  }));
  await ctx.groups.remove(id);
  return {};
}

/** The devices of a group. One that left the account a moment ago is in none. @throws OperationError `unknown-group` */
export async function listGroupDevices(
  ctx: GroupContext,
  { account, group, limit, cursor }: ParsedInput<typeof ListGroupDevices>,
): Promise<OperationOutput<typeof ListGroupDevices>> {
  if (cursor === undefined) await settleClaims(ctx, { account, group });
  await requireGroup(ctx, { account, group });
  const query = { index: 'byGroup', equals: { account, group }, limit, cursor } as const;
  const page = await pageOf(ctx.members, query, ({ deviceId, since }) => ({ deviceId, since }));
  const deviceIds = page.items.map(({ deviceId }) => deviceId);
  const gone = new Set(await findUnknown(ctx, { account, deviceIds }));
  return { ...page, items: page.items.filter(({ deviceId }) => !gone.has(deviceId)) };
}

/**
 * Adds devices to a group, and takes others out. Whether the devices are the account's is checked before and after.
 * @throws OperationError `unknown-group`, `unknown-device`, `group-by-labels`
 */
export async function changeGroup(
  ctx: GroupContext,
  { account, group, add, remove, by }: ParsedInput<typeof ChangeGroup>,
): Promise<OperationOutput<typeof ChangeGroup>> {
  await settleClaims(ctx, { account, group });
  const { labels } = await requireGroup(ctx, { account, group });
  if (labels !== undefined)
    throw new OperationError('group-by-labels', `group: "${group}" has the devices that match "${labels}"`, {
      field: 'group',
    });
  await requireDevices(ctx, { account, deviceIds: add });
  const why = { by, now: ctx.now() };
  const added: string[] = [];
  const removed: string[] = [];
  for (const deviceId of new Set(add))
    if (await joinGroup(ctx, { account, group, deviceId }, why)) added.push(deviceId);
  for (const deviceId of new Set(remove))
    if (await leaveGroup(ctx, { account, group, deviceId }, why)) removed.push(deviceId);
  // a device that changed hands meanwhile is not the account's to put into a group
  const gone = await findUnknown(ctx, { account, deviceIds: added });
  for (const deviceId of gone) await leaveGroup(ctx, { account, group, deviceId }, why);
  if (added.length + removed.length === 0) await requireGroup(ctx, { account, group });
  else await publishDevicesChanged(ctx, { account, group }, { by, now: ctx.now() });
  if (gone.length > 0) throw unknownDevices(account, gone);
  return { added, removed };
}

/** Sets and removes labels of a device, and fits the groups that go by labels. @throws OperationError `unknown-device`, `too-many-labels` */
export async function labelDevice(
  ctx: GroupContext,
  { account, deviceId, set, remove, by }: ParsedInput<typeof LabelDevice>,
): Promise<OperationOutput<typeof LabelDevice>> {
  const device = { account, deviceId };
  await requireDevices(ctx, { account, deviceIds: [deviceId] });
  const empty = { id: idOf(device), ...device, labels: {} };
  const { labels } = await upsert(ctx.labels, empty, (held) => {
    const kept = Object.entries(held.labels).filter(([key]) => !remove.includes(key));
    const changed = { ...Object.fromEntries(kept), ...set };
    if (Object.keys(changed).length > MAX_LABELS)
      throw new OperationError('too-many-labels', `labels: at most ${MAX_LABELS}`, { field: 'set' });
    return { document: { ...held, labels: changed, changedAt: iso(ctx.now()) } };
  });
  await fitGroups(ctx, { ...device, labels }, { by, now: ctx.now() });
  const gone = await findUnknown(ctx, { account, deviceIds: [deviceId] });
  if (gone.length > 0) {
    await ctx.labels.remove(empty.id);
    await fitGroups(ctx, { ...device, labels: {} }, { by, now: ctx.now() });
    throw unknownDevices(account, gone);
  }
  return { labels, groups: await groupsOf(ctx, device) };
}

export async function getLabels(
  ctx: GroupContext,
  device: ParsedInput<typeof GetDeviceLabels>,
): Promise<OperationOutput<typeof GetDeviceLabels>> {
  await settleClaims(ctx, { account: device.account });
  return readLabels(ctx, device);
}

/** Labels and groups of a device, as far as its claims were read. */
export async function readLabels(
  ctx: Pick<GroupStore, 'labels' | 'members'>,
  device: { readonly account: string; readonly deviceId: string },
): Promise<OperationOutput<typeof GetDeviceLabels>> {
  const [held, groups] = await Promise.all([ctx.labels.get(idOf(device)), groupsOf(ctx, device)]);
  return { labels: held?.labels ?? {}, groups };
}

/** @throws OperationError `unknown-group` */
export async function requireGroup(ctx: GroupStore, { account, group }: GroupRef): Promise<GroupRecord> {
  const record = await ctx.groups.get(`${account}/${group}`);
  if (record !== undefined) return record;
  throw unknownGroup({ account, group });
}

/** Repeats until the device is in the groups that its labels match: they may have been changed again meanwhile. */
async function fitGroups(
  ctx: GroupStore,
  { account, deviceId, labels }: Pick<DeviceLabels, 'account' | 'deviceId' | 'labels'>,
  why: Why,
): Promise<void> {
  for await (const group of all(ctx.groups, { index: 'byAccount', equals: { account } })) {
    if (group.labels === undefined) continue;
    const place = { account, group: group.name, deviceId };
    await (matchesLabels(group.labels, labels) ? joinGroup : leaveGroup)(ctx, place, why);
  }
  const held = (await ctx.labels.get(idOf({ account, deviceId })))?.labels ?? {};
  if (!unchanged(labels)(held)) await fitGroups(ctx, { account, deviceId, labels: held }, why);
}

/** @throws OperationError `unknown-group` where it was removed meanwhile */
async function publishDevicesChanged(ctx: GroupStore, ref: GroupRef, why: Why): Promise<void> {
  try {
    await ctx.groups.update(`${ref.account}/${ref.group}`, (record) => ({
      document: record,
      events: [groupEvent(record, 'devices', why)],
    }));
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
    throw unknownGroup(ref);
  }
}

async function viewOf(ctx: Pick<GroupStore, 'members'>, record: GroupRecord): Promise<Group> {
  const { id: _id, account, name, ...rest } = record;
  const devices = await ctx.members.count({ index: 'byGroup', equals: { account, group: name } });
  return { ...rest, name, devices };
}

function unknownGroup({ account, group }: GroupRef): OperationError {
  const message = `group: account "${account}" has no group "${group}"`;
  return new OperationError('unknown-group', message, { field: 'group' });
}
