import { type Repetition, repeatedly } from '@signet/service';
import type { CampaignDevice, CampaignRecord } from '../../domain/campaigns/campaign.ts';
import { deviceMoved, prepared, settled, turns } from '../../domain/campaigns/steps.ts';
import { keyRingId } from '../../domain/rotation/key-ring.ts';
import { allOf } from '../pages.ts';
import { insertOnce } from '../upsert.ts';
import type { EngineDeps } from './engine-deps.ts';
import { countOf } from './operators.ts';
import { order, writeOrder } from './order-device.ts';
import { devicesOf } from './select.ts';
import { takeBack } from './take-back.ts';

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

function iso(time: number): string {
  return new Date(time).toISOString();
}
