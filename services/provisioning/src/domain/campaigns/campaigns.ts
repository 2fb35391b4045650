import {
  type Campaign,
  CampaignDeviceState,
  type CampaignPlan,
  type changeCampaign as ChangeCampaign,
  type getCampaign as GetCampaign,
  type listCampaignDevices as ListCampaignDevices,
  type listCampaigns as ListCampaigns,
  OperationError,
  type OperationOutput,
  type ParsedInput,
  uuidv7,
} from '@signet/contracts';
import { requireDevices } from '../devices/known-devices.ts';
import { iso, pageOf } from '../documents/documents.ts';
import { requireGroup } from '../groups/groups.ts';
import { type GroupContext, settleClaims } from '../groups/membership.ts';
import type { CampaignDevices, CampaignRecord, Campaigns } from './campaign.ts';
import { campaignEvent, changeState } from './steps.ts';

type CampaignStore = { readonly campaigns: Campaigns; readonly campaignDevices: CampaignDevices };
type CampaignRef = { readonly account: string; readonly campaignId: string };

/** Starts a campaign of rotations (F42). @throws OperationError `unknown-group`, `unknown-device` */
export async function startCampaign(
  ctx: CampaignStore & GroupContext,
  { by, account, ...plan }: CampaignPlan & { readonly account: string; readonly by: string },
): Promise<Campaign> {
  const { group, deviceIds = [] } = plan;
  await requireDevices(ctx, { account, deviceIds });
  if (group !== undefined) {
    await settleClaims(ctx, { account, group });
    await requireGroup(ctx, { account, group });
  }
  const time = ctx.now();
  const createdAt = iso(time);
  const campaignId = uuidv7(time);
  const campaign: CampaignRecord = {
    id: `${account}/${campaignId}`,
    ...{ account, campaignId, ...plan },
    rotationId: `certs-${Math.floor(time / 1000)}`,
    state: 'PREPARING',
    active: true,
    ...{ nextOrderAt: createdAt, forgivenFailures: 0, createdAt, createdBy: by },
  };
  await ctx.campaigns.insert(campaign, [campaignEvent(campaign, by, time)]);
  return viewOf(ctx, campaign);
}

/** @throws OperationError `unknown-campaign` */
export async function getCampaign(
  ctx: CampaignStore,
  asked: ParsedInput<typeof GetCampaign>,
): Promise<Campaign> {
  return viewOf(ctx, await requireCampaign(ctx, asked));
}

export function listCampaigns(
  ctx: CampaignStore,
  { account, limit, cursor }: ParsedInput<typeof ListCampaigns>,
): Promise<OperationOutput<typeof ListCampaigns>> {
  const query = { index: 'byAccount', equals: { account }, descending: true, limit, cursor } as const;
  return pageOf(ctx.campaigns, query, (campaign) => viewOf(ctx, campaign));
}

/** Pauses, resumes or cancels. @throws OperationError `unknown-campaign`, `campaign-state` */
export async function changeCampaign(
  ctx: CampaignStore & { readonly now: () => number },
  { account, campaignId, action, reason, by }: ParsedInput<typeof ChangeCampaign>,
): Promise<Campaign> {
  const { id } = await requireCampaign(ctx, { account, campaignId });
  const failures = await countDevices(ctx, campaignId, 'FAILED');
  const facts = { action, reason, by, failures, now: ctx.now() };
  return viewOf(ctx, await ctx.campaigns.update(id, (campaign) => changeState(campaign, facts)));
}

/** @throws OperationError `unknown-campaign` */
export async function listCampaignDevices(
  ctx: CampaignStore,
  { account, campaignId, state, limit, cursor }: ParsedInput<typeof ListCampaignDevices>,
): Promise<OperationOutput<typeof ListCampaignDevices>> {
  await requireCampaign(ctx, { account, campaignId });
  const equals = state === undefined ? { campaignId } : { campaignId, state };
  return pageOf(
    ctx.campaignDevices,
    { index: 'byState', equals, limit, cursor },
    ({ id: _id, account: _account, campaignId: _campaign, unwritten: _unwritten, ...shown }) => shown,
  );
}

/** How many devices of a campaign are in a state. */
export function countDevices(
  { campaignDevices }: Pick<CampaignStore, 'campaignDevices'>,
  campaignId: string,
  state: CampaignDeviceState,
): Promise<number> {
  return campaignDevices.count({ index: 'byState', equals: { campaignId, state } });
}

async function viewOf(ctx: CampaignStore, campaign: CampaignRecord): Promise<Campaign> {
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
    async (state) => [state, await countDevices(ctx, campaign.campaignId, state)] as const,
  );
  const counts = Object.fromEntries(await Promise.all(counted)) as Campaign['counts'];
  return { ...shown, counts };
}

async function requireCampaign(
  { campaigns }: Pick<CampaignStore, 'campaigns'>,
  { account, campaignId }: CampaignRef,
): Promise<CampaignRecord> {
  const campaign = await campaigns.get(`${account}/${campaignId}`);
  if (campaign !== undefined) return campaign;
  throw new OperationError('unknown-campaign', `campaignId: account "${account}" has no such campaign`, {
    field: 'campaignId',
  });
}
