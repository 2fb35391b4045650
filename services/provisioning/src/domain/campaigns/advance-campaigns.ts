import { listCertificates, type SignetEvent } from '@signet/contracts';
import { all, insertIfAbsent } from '@signet/store';
import type { Asks } from '../devices/known-devices.ts';
import { idOf } from '../devices/known-devices.ts';
import { iso } from '../documents/documents.ts';
import type { CampaignDevice, CampaignDevices, CampaignRecord } from './campaign.ts';
import { countDevices } from './campaigns.ts';
import { type OrderContext, orderDevice, withdrawOrders, writeOrder } from './rotation-order.ts';
import { finishPreparation, moveDevice, settleCampaign, takeTurns } from './steps.ts';

/** Orders of one look: a slow store is not asked for more than it does in a tick. */
const MOST_AT_ONCE = 1000;

/** `campaignTickMs`: how often campaigns are looked at. */
type CampaignContext = OrderContext & { readonly campaignTickMs: number };

/**
 * Moves campaigns on; each replica looks at all of them. Turns are taken in one update of the campaign, and a device in
 * one of its own, so that replicas share the rate and no device is ordered twice.
 */
export async function advanceCampaigns(ctx: CampaignContext): Promise<void> {
  for await (const campaign of all(ctx.campaigns, { index: 'active', equals: { active: true } })) {
    if (campaign.state === 'PREPARING') await prepareCampaign(ctx, campaign);
    if (campaign.state === 'RUNNING') await orderNext(ctx, campaign);
    if (campaign.state === 'CANCELLED') await withdrawOrders(ctx, campaign);
  }
}

/** Stores the devices of a campaign. A replica that dies in the middle is followed by another. */
async function prepareCampaign(ctx: CampaignContext, campaign: CampaignRecord): Promise<void> {
  const { account, campaignId } = campaign;
  for await (const deviceId of devicesOf(ctx, campaign)) {
    const ring = await ctx.rings.get(idOf({ account, deviceId }));
    const device: CampaignDevice = {
      id: `${account}/${campaignId}/${deviceId}`,
      ...{ account, campaignId, deviceId },
      ...(ring?.current === undefined
        ? { state: 'SKIPPED', reason: 'no certificate of it is known', endedAt: iso(ctx.now()) }
        : { state: 'WAITING' }),
    };
    await insertIfAbsent(ctx.campaignDevices, device);
  }
  await ctx.campaigns.update(campaign.id, (current) => finishPreparation(current, ctx.now()));
}

/** The devices that a campaign is for, each once. */
async function* devicesOf(
  ctx: CampaignContext,
  { account, deviceIds, group, expiresBefore }: CampaignRecord,
): AsyncGenerator<string> {
  if (deviceIds !== undefined) yield* new Set(deviceIds);
  if (group !== undefined)
    for await (const { deviceId } of all(ctx.members, { index: 'byGroup', equals: { account, group } }))
      yield deviceId;
  if (expiresBefore !== undefined) yield* await expiringDevices(ctx, { account, before: expiresBefore });
}

/** Devices with a certificate that is not revoked, all of which end before `before`. */
async function expiringDevices(
  { bus }: Asks,
  { account, before }: { readonly account: string; readonly before: string },
): Promise<string[]> {
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

/** Orders as many devices as the rate allows by now. */
async function orderNext(ctx: CampaignContext, campaign: CampaignRecord): Promise<void> {
  const { campaigns, campaignDevices, now, campaignTickMs } = ctx;
  const { id, campaignId } = campaign;
  // 1. Devices that were silent for too long have failed; orders that a replica did not write are written.
  await failSilentDevices(ctx, campaign);
  const lost = { index: 'unwritten', equals: { campaignId, unwritten: true } } as const;
  for await (const device of all(campaignDevices, lost)) await writeOrder(ctx, campaign, device);
  // 2. Too many failures pause the campaign; with nothing left to do it is completed.
  const [waiting, ordered, failed] = await Promise.all([
    countDevices(ctx, campaignId, 'WAITING'),
    countDevices(ctx, campaignId, 'ORDERED'),
    countDevices(ctx, campaignId, 'FAILED'),
  ]);
  const open = waiting + ordered;
  const { state } = await campaigns.update(id, (current) => settleCampaign(current, { failed, open }, now()));
  if (state !== 'RUNNING' || waiting === 0) return;
  // 3. The turns that are due are taken, and that many devices ordered.
  let count = 0;
  const most = Math.min(waiting, MOST_AT_ONCE);
  await campaigns.update(id, (current) => {
    const taken = takeTurns(current, { most, windowMs: 2 * campaignTickMs, now: now() });
    count = taken.count;
    return taken.change;
  });
  if (count === 0) return;
  const query = { index: 'byState', equals: { campaignId, state: 'WAITING' }, limit: count } as const;
  const { items } = await campaignDevices.find(query);
  for (const device of items) await orderDevice(ctx, campaign, device);
}

async function failSilentDevices(
  { campaignDevices, now }: CampaignContext,
  campaign: CampaignRecord,
): Promise<void> {
  const { campaignId, deadlineHours } = campaign;
  const to = iso(now() - deadlineHours * 3_600_000);
  const query = { index: 'byOrder', equals: { campaignId, state: 'ORDERED' }, to } as const;
  for await (const device of all(campaignDevices, query)) {
    const reason = `not seen with a new key within ${deadlineHours} hours of its order`;
    await campaignDevices.update(device.id, (current) =>
      moveDevice(current, { to: 'FAILED', reason, now: now() }),
    );
  }
}

/**
 * What became of an ordered device. A first contact with the new key counts, whatever the device said before; its own
 * word of a failure counts until then.
 */
export async function noteRotationOutcome(
  { campaignDevices, now }: { readonly campaignDevices: CampaignDevices; readonly now: () => number },
  event: SignetEvent<'DEVICE_ROTATION_COMPLETED' | 'DEVICE_ROTATION_STEP' | 'DEVICE_ROTATION_CANCELLED'>,
): Promise<void> {
  const { account, subject: deviceId, time } = event;
  const outcome = outcomeOf(event);
  if (outcome === undefined) return;
  const query = { index: 'byDevice', equals: { account, deviceId } } as const;
  for await (const device of all(campaignDevices, query)) {
    if (device.orderedAt === undefined || time < device.orderedAt) continue;
    await campaignDevices.update(device.id, (current) => moveDevice(current, { ...outcome, now: now() }));
  }
}

function outcomeOf(
  event: SignetEvent<'DEVICE_ROTATION_COMPLETED' | 'DEVICE_ROTATION_STEP' | 'DEVICE_ROTATION_CANCELLED'>,
): { to: 'DONE' } | { to: 'FAILED'; reason: string } | undefined {
  switch (event.type) {
    case 'DEVICE_ROTATION_COMPLETED':
      return { to: 'DONE' };
    case 'DEVICE_ROTATION_CANCELLED':
      return event.data.reason === 'cancelled'
        ? { to: 'FAILED', reason: 'its rotation was cancelled' }
        : undefined;
    case 'DEVICE_ROTATION_STEP': {
      const { step, success, details } = event.data;
      if (success) return undefined;
      return { to: 'FAILED', reason: `${step} failed${details === undefined ? '' : `: ${details}`}` };
    }
  }
}
