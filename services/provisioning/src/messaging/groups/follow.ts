import type { Bus, Subscription } from '@signet/bus';
import { GroupName, type SignetEvent } from '@signet/contracts';
import { sharedLayerId } from '../../domain/config/layer.ts';
import { fits } from '../../domain/groups/label-query.ts';
import { allOf } from '../pages.ts';
import { insertOnce } from '../upsert.ts';
import { type GroupStore, join, leave } from './membership.ts';
import { groupChanged } from './operators.ts';

type Deps = { readonly bus: Bus; readonly store: GroupStore; readonly now: () => number };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** Brings devices into the groups that they belong to, and out of those that are gone. */
export async function followGroups({ bus, store, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.consume(
      { durable: 'provisioning-groups', types: ['GROUP_CHANGED'], maxDeliveries },
      async (event) => {
        if (event.type !== 'GROUP_CHANGED') return;
        if (event.data.change === 'created') await fill(store, event, now());
        if (event.data.change === 'removed') await empty(store, event, now());
      },
    ),
    await bus.consume(
      { durable: 'provisioning-claims', types: ['DEVICE_CLAIMED', 'DEVICE_RETIRED'], maxDeliveries },
      async (event) => {
        if (event.type === 'DEVICE_CLAIMED') await claimed(store, event, now());
        if (event.type === 'DEVICE_RETIRED') await retired(store, event, now());
      },
    ),
  ];
}

async function fill(store: GroupStore, event: SignetEvent<'GROUP_CHANGED'>, now: number): Promise<void> {
  const { account } = event;
  const group = await store.groups.get(`${account}/${event.data.group}`);
  if (group?.labels === undefined) return;
  for await (const { deviceId, labels } of allOf(store.labels, { index: 'byAccount', equals: { account } }))
    if (fits(group.labels, labels))
      await join(store, { account, group: group.name, deviceId }, { by: event.data.by, now });
}

/** A group that was made again meanwhile keeps its own devices. */
async function empty(store: GroupStore, event: SignetEvent<'GROUP_CHANGED'>, now: number): Promise<void> {
  const { account, time } = event;
  const { group, by } = event.data;
  for await (const { deviceId, since } of allOf(store.members, {
    index: 'byGroup',
    equals: { account, group },
  }))
    if (since <= time) await leave(store, { account, group, deviceId }, { by, now });
  if ((await store.groups.get(`${account}/${group}`)) === undefined)
    await store.layers.remove(sharedLayerId(account, group));
}

/** The group that a claim names, made if it is not there. */
async function claimed(
  store: GroupStore,
  { account, subject: deviceId, data: { group, by } }: SignetEvent<'DEVICE_CLAIMED'>,
  now: number,
): Promise<void> {
  if (group === undefined || !GroupName.safeParse(group).success) return;
  const record = {
    id: `${account}/${group}`,
    ...{ account, name: group, createdAt: new Date(now).toISOString(), createdBy: by },
  };
  await insertOnce(store.groups, record, [groupChanged(record, 'created', by, now)]);
  const { labels } = (await store.groups.get(record.id)) ?? {};
  if (labels === undefined) await join(store, { account, group, deviceId }, { by, now });
}

async function retired(
  store: GroupStore,
  { account, subject: deviceId, data: { by } }: SignetEvent<'DEVICE_RETIRED'>,
  now: number,
): Promise<void> {
  for await (const { group } of allOf(store.members, { index: 'byDevice', equals: { account, deviceId } }))
    await leave(store, { account, group, deviceId }, { by, now });
  await store.labels.remove(`${account}/${deviceId}`);
}
