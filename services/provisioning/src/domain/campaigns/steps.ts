import { type CampaignState, newEvent, OperationError, type SignetEvent } from '@signet/contracts';
import type { Change } from '@signet/store';
import type { CampaignDevice, CampaignRecord } from './campaign.ts';

type Step = Change<CampaignRecord> | undefined;

const actions = {
  pause: { from: ['PREPARING', 'RUNNING'], to: 'PAUSED' },
  resume: { from: ['PAUSED'], to: 'RUNNING' },
  cancel: { from: ['PREPARING', 'RUNNING', 'PAUSED'], to: 'CANCELLED' },
} as const satisfies Record<string, { from: readonly CampaignState[]; to: CampaignState }>;
export type CampaignAction = keyof typeof actions;

/** What an operator does with it. @throws OperationError `campaign-state` with both states */
export function changeState(
  campaign: CampaignRecord,
  facts: {
    readonly action: CampaignAction;
    readonly by: string;
    readonly reason?: string | undefined;
    readonly failures: number;
    readonly now: number;
  },
): Step {
  const { action, by, now, failures } = facts;
  const { from, to } = actions[action];
  if (campaign.state === to) return undefined;
  if (!(from as readonly CampaignState[]).includes(campaign.state))
    throw new OperationError('campaign-state', `state: a campaign cannot go from ${campaign.state} to ${to}`);
  const reason = `by ${by}${facts.reason === undefined ? '' : `: ${facts.reason}`}`;
  if (action !== 'resume') return moveTo(campaign, to, { by, reason, now });
  // what waited does not come all at once, and what failed is looked past
  const resumed = { ...campaign, nextOrderAt: new Date(now).toISOString(), forgivenFailures: failures };
  return moveTo(resumed, campaign.preparedAt === undefined ? 'PREPARING' : to, { by, now });
}

/** All its devices are written down. */
export function finishPreparation(campaign: CampaignRecord, now: number): Step {
  if (campaign.state !== 'PREPARING') return undefined;
  const preparedAt = new Date(now).toISOString();
  return moveTo({ ...campaign, preparedAt, nextOrderAt: preparedAt }, 'RUNNING', { by: SERVICE, now });
}

/** Too many failed, or nothing is left to do. */
export function settleCampaign(
  campaign: CampaignRecord,
  counts: { readonly failed: number; readonly open: number },
  now: number,
): Step {
  if (campaign.state !== 'RUNNING') return undefined;
  const failures = counts.failed - campaign.forgivenFailures;
  if (counts.open === 0) return moveTo(campaign, 'COMPLETED', { by: SERVICE, now });
  if (failures < campaign.maxFailures) return undefined;
  return moveTo(campaign, 'PAUSED', { by: SERVICE, reason: `${failures} devices failed`, now });
}

/**
 * Takes as many turns as the rate allows by now, at most `most`. A service that was offline does not make up for it: of the
 * time that has passed, `windowMs` counts.
 */
export function takeTurns(
  campaign: CampaignRecord,
  facts: { readonly most: number; readonly windowMs: number; readonly now: number },
): { readonly count: number; readonly change: Step } {
  if (campaign.state !== 'RUNNING') return { count: 0, change: undefined };
  const { most, windowMs, now } = facts;
  const interval = 60_000 / campaign.perMinute;
  const due = Math.max(Date.parse(campaign.nextOrderAt), now - windowMs);
  const count = Math.min(most, due > now ? 0 : Math.floor((now - due) / interval) + 1);
  if (count === 0) return { count, change: undefined };
  const nextOrderAt = new Date(Math.ceil(due + count * interval)).toISOString();
  return { count, change: { document: { ...campaign, nextOrderAt } } };
}

/** A device of a campaign goes on. What is over stays so, but for one that was taken for failed and is done after all. */
export function moveDevice(
  device: CampaignDevice,
  facts: { readonly to: CampaignDevice['state']; readonly reason?: string; readonly now: number },
): Change<CampaignDevice> | undefined {
  const { to, reason, now } = facts;
  const from = before[to];
  if (!from.includes(device.state)) return undefined;
  const { reason: _reason, endedAt: _endedAt, unwritten: _unwritten, ...rest } = device;
  const at = new Date(now).toISOString();
  return {
    document: {
      ...{ ...rest, state: to },
      ...(to === 'ORDERED' ? { orderedAt: at, unwritten: true as const } : { endedAt: at }),
      ...(reason === undefined ? {} : { reason: reason.slice(0, 256) }),
    },
  };
}

/** Its order stands in its config. */
export function markOrderWritten(device: CampaignDevice): Change<CampaignDevice> | undefined {
  const { unwritten, ...document } = device;
  return unwritten === undefined ? undefined : { document };
}

const before: Readonly<Record<CampaignDevice['state'], readonly CampaignDevice['state'][]>> = {
  WAITING: [],
  ORDERED: ['WAITING'],
  DONE: ['ORDERED', 'FAILED'],
  FAILED: ['ORDERED'],
  SKIPPED: ['WAITING'],
  WITHDRAWN: ['WAITING', 'ORDERED'],
};

const SERVICE = 'provisioning';

export function campaignEvent(campaign: CampaignRecord, by: string, time: number): SignetEvent {
  const { account, campaignId, rotationId, state, reason } = campaign;
  const data = { campaignId, rotationId, state, by, ...(reason === undefined ? {} : { reason }) };
  return newEvent('CAMPAIGN_CHANGED', { account, subject: campaignId, time, data });
}

function moveTo(
  campaign: CampaignRecord,
  state: CampaignState,
  facts: { readonly by: string; readonly reason?: string; readonly now: number },
): Change<CampaignRecord> {
  const { reason: _reason, active: _active, ...rest } = campaign;
  const { by, reason, now } = facts;
  const isOver = state === 'COMPLETED' || state === 'CANCELLED';
  const document: CampaignRecord = {
    ...{ ...rest, state },
    ...(reason === undefined ? {} : { reason }),
    ...(isOver ? { endedAt: new Date(now).toISOString() } : {}),
    // one that is cancelled has devices whose orders are taken back
    ...(state === 'PAUSED' || state === 'COMPLETED' ? {} : { active: true }),
  };
  return { document, events: [campaignEvent(document, by, now)] };
}

/** The orders of a cancelled campaign are taken back. */
export function finishWithdrawal(campaign: CampaignRecord): Step {
  const { active, ...document } = campaign;
  return active === undefined || campaign.state !== 'CANCELLED' ? undefined : { document };
}
