import type { Bus, Subscription } from '@signet/bus';
import { type Departure, departureOf, departureTypes, identifyDevices } from '@signet/contracts';
import { whenServed } from '@signet/service';
import { StoreError } from '@signet/store';
import { deviceMoved } from '../domain/campaigns/steps.ts';
import { departed as configDeparted } from '../domain/config/departed.ts';
import type { DeviceLabels } from '../domain/groups/group.ts';
import { isFinal, stop } from '../domain/requests/transitions.ts';
import { departed as ringDeparted } from '../domain/rotation/departed.ts';
import { keyRingId } from '../domain/rotation/key-ring.ts';
import type { ProvisioningStore } from './collections.ts';
import { joinOfClaim } from './groups/claims.ts';
import { allOf } from './pages.ts';

type Deps = { readonly bus: Bus; readonly store: ProvisioningStore; readonly now: () => number };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/**
 * A device left its account: nothing that is kept of it there goes to whichever device bears its id next. What was
 * written after it left stays: the event may come late.
 */
export function followDepartures(deps: Deps): Promise<Subscription> {
  return deps.bus.consume(
    {
      durable: 'provisioning-departures',
      types: [...departureTypes],
      ordered: true,
      maxDeliveries,
    },
    async (event) => {
      const departure = departureOf(event);
      if (departure !== undefined) await clear(deps, departure);
      else if (event.type === 'DEVICE_RESET')
        await voidCredentials(deps.store, keyRingId(event.account, event.subject), event.time);
    },
  );
}

async function clear(deps: Deps, departure: Departure): Promise<void> {
  const { store } = deps;
  const { account, deviceId, at } = departure;
  const id = keyRingId(account, deviceId);
  await voidCredentials(store, id, at);
  await ifThere(store.rings.update(id, (ring) => ringDeparted(ring, at)));
  await ifThere(store.configs.update(id, (config) => configDeparted(config, at)));
  await clearRequests(deps, departure);
  await clearReports(store, departure);
  await leaveCampaigns(deps, departure);
  await leaveGroups(deps, departure);
}

/** Its MQTT credentials are void, as its certificates are. */
async function voidCredentials({ credentials }: ProvisioningStore, id: string, at: string): Promise<void> {
  await ifThere(
    credentials.update(id, (held) => {
      const issued = held.issued.filter(({ issuedAt }) => issuedAt > at);
      return issued.length === held.issued.length ? undefined : { document: { ...held, issued } };
    }),
  );
}

/** Open ones are stopped, which is an event; then they are gone, with the config and the password that they hold. */
async function clearRequests({ store, now }: Deps, departure: Departure): Promise<void> {
  const { account, deviceId, by, at } = departure;
  for await (const { id, createdAt } of allOf(store.requests, {
    index: 'byDevice',
    equals: { account, deviceId },
  })) {
    if (createdAt > at) continue;
    await ifThere(
      store.requests.update(id, (current) =>
        isFinal(current) ? undefined : stop(current, { by, reason: 'the device left', now: now() }),
      ),
    );
    await store.requests.remove(id);
  }
}

async function clearReports({ events, updates }: ProvisioningStore, departure: Departure): Promise<void> {
  const { account, deviceId, at } = departure;
  for await (const { id, receivedAt } of allOf(events, { index: 'byUpdate', equals: { account, deviceId } }))
    if (receivedAt <= at) await events.remove(id);
  for await (const { id, lastAt } of allOf(updates, { index: 'byDevice', equals: { account, deviceId } }))
    if (lastAt <= at) await updates.remove(id);
}

/** A campaign goes on without it. How it ended for the device before is what the campaign counts, and stays. */
async function leaveCampaigns({ store, now }: Deps, departure: Departure): Promise<void> {
  const { account, deviceId, at } = departure;
  for await (const { id, campaignId } of allOf(store.campaignDevices, {
    index: 'byDevice',
    equals: { account, deviceId },
  })) {
    const campaign = await store.campaigns.get(`${account}/${campaignId}`);
    if (campaign === undefined || campaign.createdAt > at) continue;
    await store.campaignDevices.update(id, (current) =>
      deviceMoved(current, { to: 'WITHDRAWN', reason: 'the device left', now: now() }),
    );
  }
}

/** No group tells the device of it: the device is not there any more. */
async function leaveGroups({ bus, store, now }: Deps, departure: Departure): Promise<void> {
  const { account, deviceId, by, at } = departure;
  const id = keyRingId(account, deviceId);
  const memberships: string[] = [];
  for await (const member of allOf(store.members, { index: 'byDevice', equals: { account, deviceId } }))
    if (member.since <= at) memberships.push(member.id);
  const labels = await store.labels.get(id);
  const isUntimed = has(labels) && labels?.changedAt === undefined;
  // whose labels without a time are, and which group a claim found it in already, only bootstrap knows
  const next = memberships.length > 0 || isUntimed ? await claimedSince(bus, departure) : undefined;
  for (const member of memberships) await store.members.remove(member);
  if (memberships.length > 0 && next !== undefined)
    await joinOfClaim(store, { account, deviceId, group: next.group, by }, now());
  await ifThere(
    store.labels.update(id, (held) => {
      const isOfNext = held.changedAt === undefined ? next !== undefined : held.changedAt > at;
      return isOfNext || !has(held) ? undefined : { document: { ...held, labels: {} } };
    }),
  );
}

function has(held: DeviceLabels | undefined): boolean {
  return held !== undefined && Object.keys(held.labels).length > 0;
}

/** The device that the account has under that id since. */
async function claimedSince(bus: Bus, { account, deviceId, at }: Departure) {
  const { devices } = await whenServed(() =>
    bus.request(identifyDevices, { account, deviceIds: [deviceId] }),
  );
  return devices.find(({ claimedAt }) => claimedAt !== undefined && claimedAt >= at);
}

async function ifThere(update: Promise<unknown>): Promise<void> {
  await update.catch((error: unknown) => {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
  });
}
