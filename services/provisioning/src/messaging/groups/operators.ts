import type { Bus, Subscription } from '@signet/bus';
import {
  changeGroup,
  createGroup,
  type Group,
  getDeviceLabels,
  labelDevice,
  listGroupDevices,
  listGroups,
  OperationError,
  removeGroup,
} from '@signet/contracts';
import { StoreError, unchanged } from '@signet/store';
import type { DeviceLabels, GroupRecord } from '../../domain/groups/group.ts';
import { fits } from '../../domain/groups/label-query.ts';
import { groupsOf } from '../config/collections.ts';
import { requireDevices, unknownDevices, unknownOf } from '../known-devices.ts';
import { allOf } from '../pages.ts';
import { insertOnce, upsert } from '../upsert.ts';
import { settleClaims } from './claims.ts';
import { groupChanged } from './group-changed.ts';
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
      await settleClaims(deps, account);
      const page = await store.groups.find({
        ...{ index: 'byAccount', equals: { account }, limit },
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = await Promise.all(page.items.map((record) => viewOf(store, record)));
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(removeGroup, async ({ account, group, by }) => {
      await settleClaims(deps, account, group);
      const { id } = await demandGroup(store, account, group);
      await store.groups.update(id, (record) => ({
        document: record,
        events: [groupChanged(record, 'removed', by, now())],
      }));
      await store.groups.remove(id);
      return {};
    }),
    await bus.serve(listGroupDevices, async ({ account, group, limit, cursor }) => {
      if (cursor === undefined) await settleClaims(deps, account, group);
      await demandGroup(store, account, group);
      const page = await store.members.find({
        ...{ index: 'byGroup', equals: { account, group }, limit },
        ...(cursor === undefined ? {} : { cursor }),
      });
      // who left the account a moment ago is in no group of it
      const gone = new Set(
        await unknownOf(
          bus,
          account,
          page.items.map(({ deviceId }) => deviceId),
        ),
      );
      const items = page.items
        .filter(({ deviceId }) => !gone.has(deviceId))
        .map(({ deviceId, since }) => ({ deviceId, since }));
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(changeGroup, async ({ account, group, add, remove, by }) => {
      await settleClaims(deps, account, group);
      const { id, labels } = await demandGroup(store, account, group);
      if (labels !== undefined)
        throw new OperationError(
          'group-by-labels',
          `group: "${group}" has the devices that "${labels}" fits`,
          {
            field: 'group',
          },
        );
      await requireDevices(bus, account, add);
      const why = { by, now: now() };
      const added: string[] = [];
      const removed: string[] = [];
      for (const deviceId of new Set(add))
        if (await join(store, { account, group, deviceId }, why)) added.push(deviceId);
      for (const deviceId of new Set(remove))
        if (await leave(store, { account, group, deviceId }, why)) removed.push(deviceId);
      const gone = await takeBackOthers(bus, account, added, async (deviceId) => {
        await leave(store, { account, group, deviceId }, why);
      });
      if (added.length + removed.length === 0) await demandGroup(store, account, group);
      else await told(store, id, group, by, now());
      if (gone.length > 0) throw unknownDevices(account, gone);
      return { added, removed };
    }),
    await bus.serve(labelDevice, async ({ account, deviceId, set, remove, by }) => {
      await requireDevices(bus, account, [deviceId]);
      const empty = { id: `${account}/${deviceId}`, account, deviceId, labels: {} };
      const { labels } = await upsert(store.labels, empty, (held) => {
        const kept = Object.entries(held.labels).filter(([key]) => !remove.includes(key));
        const changed = { ...Object.fromEntries(kept), ...set };
        if (Object.keys(changed).length > MAX_LABELS)
          throw new OperationError('too-many-labels', `labels: at most ${MAX_LABELS}`, { field: 'set' });
        return { document: { ...held, labels: changed, changedAt: new Date(now()).toISOString() } };
      });
      await fitGroups(store, { account, deviceId, labels }, { by, now: now() });
      const gone = await takeBackOthers(bus, account, [deviceId], async () => {
        await store.labels.remove(empty.id);
        await fitGroups(store, { account, deviceId, labels: {} }, { by, now: now() });
      });
      if (gone.length > 0) throw unknownDevices(account, gone);
      return { labels, groups: await groupsOf(store, account, deviceId) };
    }),
    await bus.serve(getDeviceLabels, async ({ account, deviceId }) => {
      await settleClaims(deps, account);
      const labels = (await store.labels.get(`${account}/${deviceId}`))?.labels ?? {};
      return { labels, groups: await groupsOf(store, account, deviceId) };
    }),
  ];
}

/** Until the device is in the groups that its labels fit: they may have been changed again meanwhile. */
async function fitGroups(
  store: GroupStore,
  { account, deviceId, labels }: Pick<DeviceLabels, 'account' | 'deviceId' | 'labels'>,
  why: { readonly by: string; readonly now: number },
): Promise<void> {
  for await (const group of allOf(store.groups, { index: 'byAccount', equals: { account } })) {
    if (group.labels === undefined) continue;
    const place = { account, group: group.name, deviceId };
    await (fits(group.labels, labels) ? join : leave)(store, place, why);
  }
  const held = (await store.labels.get(`${account}/${deviceId}`))?.labels ?? {};
  if (!unchanged(labels)(held)) await fitGroups(store, { account, deviceId, labels: held }, why);
}

/** Takes back what was written about devices that changed hands meanwhile. @returns those */
async function takeBackOthers(
  bus: Bus,
  account: string,
  deviceIds: readonly string[],
  takeBack: (deviceId: string) => Promise<void>,
): Promise<string[]> {
  const unknown = await unknownOf(bus, account, deviceIds);
  for (const deviceId of unknown) await takeBack(deviceId);
  return unknown;
}

/** @throws OperationError `unknown-group` where it was removed meanwhile */
async function told(store: GroupStore, id: string, group: string, by: string, now: number): Promise<void> {
  try {
    await store.groups.update(id, (record) => ({
      document: record,
      events: [groupChanged(record, 'devices', by, now)],
    }));
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
    throw unknownGroup(id.slice(0, -group.length - 1), group);
  }
}

async function viewOf(store: GroupStore, record: GroupRecord): Promise<Group> {
  const { id: _id, account, name, ...rest } = record;
  const devices = await store.members.count({ index: 'byGroup', equals: { account, group: name } });
  return { ...rest, name, devices };
}

async function demandGroup(store: GroupStore, account: string, group: string): Promise<GroupRecord> {
  const record = await store.groups.get(`${account}/${group}`);
  if (record !== undefined) return record;
  throw unknownGroup(account, group);
}

function unknownGroup(account: string, group: string): OperationError {
  const message = `group: account "${account}" has no group "${group}"`;
  return new OperationError('unknown-group', message, { field: 'group' });
}
