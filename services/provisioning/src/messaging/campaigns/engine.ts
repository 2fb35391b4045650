import type { Bus } from '@signet/bus';
import type { Logger } from '@signet/service';
import { type Repetition, repeatedly } from '@signet/service';
import type { CampaignDevice, CampaignRecord } from '../../domain/campaigns/campaign.ts';
import { ORDER_FILE, orderFile } from '../../domain/campaigns/order.ts';
import { deviceMoved, orderWritten, over, prepared, settled, turns } from '../../domain/campaigns/steps.ts';
import { changeOwn, emptyConfig } from '../../domain/config/device-config.ts';
import { keyRingId } from '../../domain/rotation/key-ring.ts';
import { cancelled, ordered } from '../../domain/rotation/rotation.ts';
import type { ConfigStore } from '../config/collections.ts';
import { allOf } from '../pages.ts';
import { insertOnce, upsert } from '../upsert.ts';
import type { CampaignStore } from './collections.ts';
import { countOf } from './operators.ts';
import { devicesOf } from './select.ts';

export type EngineDeps = {
  readonly bus: Bus;
  readonly store: CampaignStore & ConfigStore;
  /** Base URL of the EST service, as devices reach it. */
  readonly estUrl: string;
  readonly now: () => number;
  readonly log: Logger;
  /** How often campaigns are looked at, ms. */
  readonly tickMs: number;
};

/** Orders of one look: a store that is slow is not asked for more than it does in a tick. */
const MOST_AT_ONCE = 1000;

/**
 * Moves campaigns on: each replica looks at all of them. Turns are taken by one update of the campaign, and a device by one
 * of its own, so that replicas share the rate and no device is ordered twice.
 */
export function runCampaigns(deps: EngineDeps): Repetition {
  const tick = async (): Promise<void> => {
    for await (const campaign of allOf(deps.store.campaigns, { index: 'active', equals: { active: true } })) {
      if (campaign.state === 'PREPARING') await prepare(deps, campaign);
      if (campaign.state === 'RUNNING') await goOn(deps, campaign);
      if (campaign.state === 'CANCELLED') await takeBack(deps, campaign);
    }
  };
  return repeatedly(deps.tickMs, tick, (error) =>
    deps.log.warn({ err: error }, 'campaigns: not moved on; tried again'),
  );
}

/** Writes down its devices; a replica that dies in it is followed by another. */
async function prepare(deps: EngineDeps, campaign: CampaignRecord): Promise<void> {
  const { store, now } = deps;
  const { account, campaignId } = campaign;
  for await (const deviceId of devicesOf(deps, campaign)) {
    const ring = await store.rings.get(keyRingId(account, deviceId));
    const device: CampaignDevice = {
      id: `${account}/${campaignId}/${deviceId}`,
      ...{ account, campaignId, deviceId },
      ...(ring?.current === undefined
        ? { state: 'SKIPPED', reason: 'no certificate of it is known', endedAt: iso(now()) }
        : { state: 'WAITING' }),
    };
    await insertOnce(store.campaignDevices, device);
  }
  await store.campaigns.update(campaign.id, (current) => prepared(current, now()));
}

async function goOn(deps: EngineDeps, campaign: CampaignRecord): Promise<void> {
  const { store, now, tickMs } = deps;
  const { id, campaignId } = campaign;
  await failSilent(deps, campaign);
  const lost = { index: 'unwritten', equals: { campaignId, unwritten: true } } as const;
  for await (const device of allOf(store.campaignDevices, lost)) await writeOrder(deps, campaign, device);
  const [waiting, orderedNow, failed] = await Promise.all([
    countOf(store, campaignId, 'WAITING'),
    countOf(store, campaignId, 'ORDERED'),
    countOf(store, campaignId, 'FAILED'),
  ]);
  const open = waiting + orderedNow;
  const { state } = await store.campaigns.update(id, (current) => settled(current, { failed, open }, now()));
  if (state !== 'RUNNING' || waiting === 0) return;
  let count = 0;
  const most = Math.min(waiting, MOST_AT_ONCE);
  await store.campaigns.update(id, (current) => {
    const taken = turns(current, { most, windowMs: 2 * tickMs, now: now() });
    count = taken.count;
    return taken.change;
  });
  if (count === 0) return;
  const { items } = await store.campaignDevices.find({
    index: 'byState',
    equals: { campaignId, state: 'WAITING' },
    limit: count,
  });
  for (const device of items) await order(deps, campaign, device);
}

/** A device is marked before its order is written: one that was lost between the two is written at the next look. */
async function order(deps: EngineDeps, campaign: CampaignRecord, device: CampaignDevice): Promise<void> {
  const { campaignDevices } = deps.store;
  const now = deps.now();
  let isMine = false;
  await campaignDevices.update(device.id, (current) => {
    const change = deviceMoved(current, { to: 'ORDERED', now });
    isMine = change !== undefined;
    return change;
  });
  if (isMine) await writeOrder(deps, campaign, device);
}

/** The order stands in the key ring before it is in the config: a device that is quick is known to be ordered. */
async function writeOrder(
  { store, estUrl, now }: EngineDeps,
  { rotationId }: CampaignRecord,
  { id, account, deviceId }: CampaignDevice,
): Promise<void> {
  const ring = await store.rings.update(keyRingId(account, deviceId), (current) =>
    current.next === undefined ? ordered(current, rotationId, now()) : undefined,
  );
  // one that rotates of itself is under way already
  if (ring.next === undefined) {
    const file = orderFile({ rotationId, estUrl });
    const change = { set: [file], by: 'provisioning', reason: `rotation ${rotationId}`, now: now() };
    await upsert(store.configs, emptyConfig(account, deviceId, change.now), (config) =>
      config.files.some(({ name, value }) => name === ORDER_FILE && value === file.value)
        ? undefined
        : changeOwn(config, change),
    );
  }
  await store.campaignDevices.update(id, orderWritten);
}

async function failSilent({ store, now }: EngineDeps, campaign: CampaignRecord): Promise<void> {
  const { campaignId, deadlineHours } = campaign;
  const bound = iso(now() - deadlineHours * 3_600_000);
  for await (const device of allOf(store.campaignDevices, {
    ...{ index: 'byOrder', equals: { campaignId, state: 'ORDERED' }, to: bound },
  })) {
    const reason = `not seen with a new key within ${deadlineHours} hours of its order`;
    await store.campaignDevices.update(device.id, (current) =>
      deviceMoved(current, { to: 'FAILED', reason, now: now() }),
    );
  }
}

/** Devices that did not begin are let be; those with a next key finish by themselves. */
async function takeBack({ store, now }: EngineDeps, campaign: CampaignRecord): Promise<void> {
  const { campaignId, rotationId, reason = 'cancelled' } = campaign;
  for (const state of ['WAITING', 'ORDERED'] as const)
    for await (const device of allOf(store.campaignDevices, {
      index: 'byState',
      equals: { campaignId, state },
    })) {
      const { account, deviceId } = device;
      const id = keyRingId(account, deviceId);
      if (state === 'ORDERED' && (await store.rings.get(id))?.next !== undefined) continue;
      await store.rings.update(id, (ring) =>
        ring.ordered?.rotationId === rotationId && ring.next === undefined
          ? cancelled(ring, { by: 'provisioning', now: now() })
          : undefined,
      );
      if (state === 'ORDERED') await withdraw(store, id, rotationId, now());
      await store.campaignDevices.update(device.id, (current) =>
        deviceMoved(current, { to: 'WITHDRAWN', reason, now: now() }),
      );
    }
  await store.campaigns.update(campaign.id, over);
}

async function withdraw(
  { configs }: ConfigStore,
  id: string,
  rotationId: string,
  now: number,
): Promise<void> {
  if ((await configs.get(id)) === undefined) return;
  await configs.update(id, (config) => {
    const held = config.files.find(({ name }) => name === ORDER_FILE);
    if (held?.value.includes(`ROTATIONID=${rotationId}\n`) !== true) return undefined;
    return changeOwn(config, {
      remove: [ORDER_FILE],
      ...{ by: 'provisioning', reason: `rotation ${rotationId} cancelled`, now },
    });
  });
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
