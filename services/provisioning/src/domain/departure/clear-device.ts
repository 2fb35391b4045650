import { type Departure, identifyDevices } from '@signet/contracts';
import { all } from '@signet/store';
import type { CampaignDevices, Campaigns } from '../campaigns/campaign.ts';
import { moveDevice } from '../campaigns/steps.ts';
import { dropDepartedFiles } from '../config/device-config.ts';
import { type CredentialRecords, voidCredentials } from '../credentials/mqtt-credentials.ts';
import { idOf } from '../devices/known-devices.ts';
import { ifPresent } from '../documents/documents.ts';
import type { DeviceLabels } from '../groups/group.ts';
import { type GroupContext, joinByClaim } from '../groups/membership.ts';
import { dropDepartedKeys } from '../keys/end-rotation.ts';
import type { KeyRings } from '../keys/key-ring.ts';
import type { Requests } from '../requests/provisioning-request.ts';
import { isFinal, stop } from '../requests/transitions.ts';
import type { UpdateStore } from '../updates/reports.ts';

type ClearContext = GroupContext &
  UpdateStore & {
    readonly rings: KeyRings;
    readonly requests: Requests;
    readonly credentials: CredentialRecords;
    readonly campaigns: Campaigns;
    readonly campaignDevices: CampaignDevices;
    /** Asks again while a service that starts is not there yet. */
    readonly whenServed: <T>(ask: () => Promise<T>) => Promise<T>;
  };

/**
 * A device left its account: nothing that is stored of it there goes to the device that bears its id next. What was
 * written after it left stays, as its event may come late.
 */
export async function clearDevice(ctx: ClearContext, departure: Departure): Promise<void> {
  const { account, deviceId, at } = departure;
  const id = idOf({ account, deviceId });
  await voidCredentials(ctx, { account, deviceId, at });
  await ifPresent(ctx.rings.update(id, (ring) => dropDepartedKeys(ring, at)));
  await ifPresent(ctx.configs.update(id, (config) => dropDepartedFiles(config, at)));
  await clearRequests(ctx, departure);
  await clearReports(ctx, departure);
  await leaveCampaigns(ctx, departure);
  await leaveGroups(ctx, departure);
}

/** Open requests are stopped, which is an event; then they are removed, with the config and password that they hold. */
async function clearRequests({ requests, now }: ClearContext, departure: Departure): Promise<void> {
  const { account, deviceId, by, at } = departure;
  const query = { index: 'byDevice', equals: { account, deviceId } } as const;
  for await (const { id, createdAt } of all(requests, query)) {
    if (createdAt > at) continue;
    await ifPresent(
      requests.update(id, (current) =>
        isFinal(current) ? undefined : stop(current, { by, reason: 'the device left', now: now() }),
      ),
    );
    await requests.remove(id);
  }
}

async function clearReports({ events, updates }: UpdateStore, departure: Departure): Promise<void> {
  const { account, deviceId, at } = departure;
  for await (const { id, receivedAt } of all(events, { index: 'byUpdate', equals: { account, deviceId } }))
    if (receivedAt <= at) await events.remove(id);
  for await (const { id, lastAt } of all(updates, { index: 'byDevice', equals: { account, deviceId } }))
    if (lastAt <= at) await updates.remove(id);
}

/** A campaign goes on without the device. How it ended for the device before is what the campaign counts, and stays. */
async function leaveCampaigns(ctx: ClearContext, departure: Departure): Promise<void> {
  const { account, deviceId, at } = departure;
  const query = { index: 'byDevice', equals: { account, deviceId } } as const;
  for await (const { id, campaignId } of all(ctx.campaignDevices, query)) {
    const campaign = await ctx.campaigns.get(`${account}/${campaignId}`);
    if (campaign === undefined || campaign.createdAt > at) continue;
    await ctx.campaignDevices.update(id, (current) =>
      moveDevice(current, { to: 'WITHDRAWN', reason: 'the device left', now: ctx.now() }),
    );
  }
}

/** Its config does not change by this: the device is not there any more. */
async function leaveGroups(ctx: ClearContext, departure: Departure): Promise<void> {
  const { account, deviceId, by, at } = departure;
  const memberships: string[] = [];
  for await (const member of all(ctx.members, { index: 'byDevice', equals: { account, deviceId } }))
    if (member.since <= at) memberships.push(member.id);
  const id = idOf({ account, deviceId });
  const labels = await ctx.labels.get(id);
  const isUntimed = hasLabels(labels) && labels?.changedAt === undefined;
  // only bootstrap knows whose labels without a time are, and which group a claim found the device in already
  const next = memberships.length > 0 || isUntimed ? await claimedSince(ctx, departure) : undefined;
  for (const member of memberships) await ctx.members.remove(member);
  if (memberships.length > 0 && next !== undefined)
    await joinByClaim(ctx, { account, deviceId, group: next.group, by }, ctx.now());
  await ifPresent(
    ctx.labels.update(id, (held) => {
      const isOfNext = held.changedAt === undefined ? next !== undefined : held.changedAt > at;
      return isOfNext || !hasLabels(held) ? undefined : { document: { ...held, labels: {} } };
    }),
  );
}

function hasLabels(held: DeviceLabels | undefined): boolean {
  return held !== undefined && Object.keys(held.labels).length > 0;
}

/** The device that the account has had under that id since. */
async function claimedSince({ bus, whenServed }: ClearContext, { account, deviceId, at }: Departure) {
  const { devices } = await whenServed(() =>
    bus.request(identifyDevices, { account, deviceIds: [deviceId] }),
  );
  return devices.find(({ claimedAt }) => claimedAt !== undefined && claimedAt >= at);
}
