import type { Bus, Subscription } from '@signet/bus';
import {
  type Campaign,
  CampaignDeviceState,
  type CampaignPlan,
  changeCampaign,
  getCampaign,
  listCampaignDevices,
  listCampaigns,
  OperationError,
  startCampaign,
  uuidv7,
} from '@signet/contracts';
import type { CampaignRecord } from '../../domain/campaigns/campaign.ts';
import { act, CampaignError, campaignEvent } from '../../domain/campaigns/steps.ts';
import { settleClaims } from '../groups/claims.ts';
import type { GroupStore } from '../groups/membership.ts';
import { requireDevices } from '../known-devices.ts';
import type { CampaignStore } from './collections.ts';

type Deps = {
  readonly bus: Bus;
  readonly store: CampaignStore & GroupStore;
  readonly now: () => number;
};

/** Campaigns as operators start, see and end them (F42). */
export async function serveCampaigns({ bus, store, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(startCampaign, (plan) => start({ bus, store, now }, plan)),
    await bus.serve(getCampaign, async ({ account, campaignId }) =>
      viewOf(store, await demand(store, account, campaignId)),
    ),
    await bus.serve(listCampaigns, async ({ account, limit, cursor }) => {
      const page = await store.campaigns.find({
        ...{ index: 'byAccount', equals: { account }, descending: true, limit },
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = await Promise.all(page.items.map((campaign) => viewOf(store, campaign)));
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(changeCampaign, async ({ account, campaignId, action, reason, by }) => {
      const { id } = await demand(store, account, campaignId);
      const failures = await countOf(store, campaignId, 'FAILED');
      try {
        const facts = { action, reason, by, failures, now: now() };
        return await viewOf(store, await store.campaigns.update(id, (campaign) => act(campaign, facts)));
      } catch (error) {
        if (!(error instanceof CampaignError)) throw error;
        throw new OperationError(error.code, error.message, { cause: error });
      }
    }),
    await bus.serve(listCampaignDevices, async ({ account, campaignId, state, limit, cursor }) => {
      await demand(store, account, campaignId);
      const page = await store.campaignDevices.find({
        index: 'byState',
        equals: state === undefined ? { campaignId } : { campaignId, state },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      return {
        items: page.items.map(({ id: _i, account: _a, campaignId: _c, unwritten: _u, ...shown }) => shown),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    }),
  ];
}

async function start(
  { bus, store, now }: Deps,
  { by, account, ...plan }: CampaignPlan & { account: string; by: string },
): Promise<Campaign> {
  const { group, deviceIds = [] } = plan;
  await requireDevices(bus, account, deviceIds);
  if (group !== undefined) await settleClaims({ bus, store, now }, account, group);
  if (group !== undefined && (await store.groups.get(`${account}/${group}`)) === undefined)
    throw new OperationError('unknown-group', `group: account "${account}" has no group "${group}"`, {
      field: 'group',
    });
  const time = now();
  const createdAt = new Date(time).toISOString();
  const campaignId = uuidv7(time);
  const campaign: CampaignRecord = {
    id: `${account}/${campaignId}`,
    ...{ account, campaignId, ...plan },
    rotationId: `certs-${Math.floor(time / 1000)}`,
    state: 'PREPARING',
    active: true,
    ...{ nextOrderAt: createdAt, forgivenFailures: 0, createdAt, createdBy: by },
  };
  await store.campaigns.insert(campaign, [campaignEvent(campaign, by, time)]);
  return viewOf(store, campaign);
}

export function countOf(
  { campaignDevices }: CampaignStore,
  campaignId: string,
  state: CampaignDeviceState,
): Promise<number> {
  return campaignDevices.count({ index: 'byState', equals: { campaignId, state } });
}

async function viewOf(store: CampaignStore, campaign: CampaignRecord): Promise<Campaign> {
  const {
    id: _id,
    account: _account,
    active: _active,
    nextOrderAt: _next,
    forgivenFailures: _forgiven,
    preparedAt: _prepared,
    ...shown
  } = campaign;
  const counted = CampaignDeviceState.options.map(
    async (state) => [state, await countOf(store, campaign.campaignId, state)] as const,
  );
  const counts = Object.fromEntries(await Promise.all(counted)) as Campaign['counts'];
  return { ...shown, counts };
}

async function demand(store: CampaignStore, account: string, campaignId: string): Promise<CampaignRecord> {
  const campaign = await store.campaigns.get(`${account}/${campaignId}`);
  if (campaign !== undefined) return campaign;
  throw new OperationError('unknown-campaign', `campaignId: account "${account}" has no such campaign`, {
    field: 'campaignId',
  });
}
