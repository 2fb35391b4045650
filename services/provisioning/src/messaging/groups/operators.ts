import type { Bus, Subscription } from '@signet/bus';
import {
  changeGroup,
  createGroup,
  type Group,
  getDeviceLabels,
  identifyDevices,
  labelDevice,
  listGroupDevices,
  listGroups,
  newEvent,
  OperationError,
  removeGroup,
} from '@signet/contracts';
import type { GroupRecord } from '../../domain/groups/group.ts';
import { fits } from '../../domain/groups/label-query.ts';
import { groupsOf } from '../config/collections.ts';
import { allOf } from '../pages.ts';
import { insertOnce, upsert } from '../upsert.ts';
import { type GroupStore, join, leave } from './membership.ts';

type Deps = { readonly bus: Bus; readonly store: GroupStore; readonly now: () => number };

const MAX_LABELS = 64;

/** Groups and labels, as operators keep them. */
export async function serveGroups(deps: Deps): Promise<Subscription[]> {
  const { bus, store, now } = deps;
  return [
    await bus.serve(createGroup, async ({ account, group: name, labels, by }) => {
      const createdAt = new Date(now()).toISOString();
      const record: GroupRecord = {
        id: `${account}/${name}`,
        ...{ account, name, createdAt, createdBy: by },
        ...(labels === undefined ? {} : { labels }),
      };
      if (!(await insertOnce(store.groups, record, [groupChanged(record, 'created', by, now())])))
        throw new OperationError('group-exists', `group: account "${account}" has a group "${name}"`, {
          field: 'group',
        });
      return viewOf(store, record);
    }),
    await bus.serve(listGroups, async ({ account, limit, cursor }) => {
      const page = await store.groups.find({
        ...{ index: 'byAccount', equals: { account }, limit },
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = await Promise.all(page.items.map((record) => viewOf(store, record)));
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(removeGroup, async ({ account, group, by }) => {
      const { id } = await demandGroup(store, account, group);
      await store.groups.update(id, (record) => ({
        document: record,
        events: [groupChanged(record, 'removed', by, now())],
      }));
      await store.groups.remove(id);
      return {};
    }),
    await bus.serve(listGroupDevices, async ({ account, group, limit, cursor }) => {
      await demandGroup(store, account, group);
      const page = await store.members.find({
        ...{ index: 'byGroup', equals: { account, group }, limit },
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = page.items.map(({ deviceId, since }) => ({ deviceId, since }));
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(changeGroup, async ({ account, group, add, remove, by }) => {
      const { id, labels } = await demandGroup(store, account, group);
      if (labels !== undefined)
        throw new OperationError(
          'group-by-labels',
          `group: "${group}" has the devices that "${labels}" fits`,
          {
            field: 'group',
          },
        );
      await demandDevices(bus, account, add);
      const why = { by, now: now() };
      const added: string[] = [];
      const removed: string[] = [];
      for (const deviceId of new Set(add))
        if (await join(store, { account, group, deviceId }, why)) added.push(deviceId);
      for (const deviceId of new Set(remove))
        if (await leave(store, { account, group, deviceId }, why)) removed.push(deviceId);
      if (added.length + removed.length > 0)
        await store.groups.update(id, (record) => ({
          document: record,
          events: [groupChanged(record, 'devices', by, now())],
        }));
      return { added, removed };
    }),
    await bus.serve(labelDevice, async ({ account, deviceId, set, remove, by }) => {
      await demandDevices(bus, account, [deviceId]);
      const empty = { id: `${account}/${deviceId}`, account, deviceId, labels: {} };
      const { labels } = await upsert(store.labels, empty, (held) => {
        const kept = Object.entries(held.labels).filter(([key]) => !remove.includes(key));
        const changed = { ...Object.fromEntries(kept), ...set };
        if (Object.keys(changed).length > MAX_LABELS)
          throw new OperationError('too-many-labels', `labels: at most ${MAX_LABELS}`, { field: 'set' });
        return { document: { ...held, labels: changed } };
      });
      for await (const group of allOf(store.groups, { index: 'byAccount', equals: { account } })) {
        if (group.labels === undefined) continue;
        const place = { account, group: group.name, deviceId };
        await (fits(group.labels, labels) ? join : leave)(store, place, { by, now: now() });
      }
      return { labels, groups: await groupsOf(store, account, deviceId) };
    }),
    await bus.serve(getDeviceLabels, async ({ account, deviceId }) => ({
      labels: (await store.labels.get(`${account}/${deviceId}`))?.labels ?? {},
      groups: await groupsOf(store, account, deviceId),
    })),
  ];
}

export function groupChanged(
  { account, name }: Pick<GroupRecord, 'account' | 'name'>,
  change: 'created' | 'removed' | 'devices',
  by: string,
  time: number,
) {
  const data = { group: name, change, by };
  return newEvent('GROUP_CHANGED', { account, subject: name, time, data });
}

async function viewOf(store: GroupStore, record: GroupRecord): Promise<Group> {
  const { id: _id, account, name, ...rest } = record;
  const devices = await store.members.count({ index: 'byGroup', equals: { account, group: name } });
  return { ...rest, name, devices };
}

async function demandGroup(store: GroupStore, account: string, group: string): Promise<GroupRecord> {
  const record = await store.groups.get(`${account}/${group}`);
  if (record !== undefined) return record;
  throw new OperationError('unknown-group', `group: account "${account}" has no group "${group}"`, {
    field: 'group',
  });
}

/** A device that is mistyped is told of, rather than kept as a name that nobody bears. */
async function demandDevices(bus: Bus, account: string, deviceIds: readonly string[]): Promise<void> {
  if (deviceIds.length === 0) return;
  const { devices } = await bus.request(identifyDevices, { account, deviceIds: [...deviceIds] });
  const known = new Set(devices.map(({ deviceId }) => deviceId));
  const unknown = deviceIds.filter((deviceId) => !known.has(deviceId));
  if (unknown.length === 0) return;
  const named = `${unknown.slice(0, 5).join(', ')}${unknown.length > 5 ? ', …' : ''}`;
  throw new OperationError('unknown-device', `deviceId: account "${account}" has no device ${named}`, {
    field: 'deviceId',
  });
}
