import type { Bus, Subscription } from '@signet/bus';
import { identifyDevices, type SignetEvent } from '@signet/contracts';
import { whenServed } from '@signet/service';
import { sharedLayerId } from '../../domain/config/layer.ts';
import { fits } from '../../domain/groups/label-query.ts';
import { allOf } from '../pages.ts';
import { joinOfClaim, settleClaims } from './claims.ts';
import { type GroupStore, join, leave } from './membership.ts';

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
      { durable: 'provisioning-claims', types: ['DEVICE_CLAIMED'], maxDeliveries },
      async (event) => {
        if (event.type !== 'DEVICE_CLAIMED') return;
        const { account, subject: deviceId, data } = event;
        if (data.group === undefined) return;
        await whenServed(() => settleClaims({ bus, store, now }, account));
        const { devices } = await whenServed(() =>
          bus.request(identifyDevices, { account, deviceIds: [deviceId] }),
        );
        // the event may come after the device left again
        if (devices.length === 0) return;
        // what is not absent was settled above, or before
        if (devices.some(({ groupPending }) => groupPending !== undefined)) return;
        const { group, by } = data;
        await joinOfClaim(store, { account, deviceId, group, by }, Date.parse(event.time));
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
