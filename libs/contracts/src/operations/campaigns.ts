import { z } from 'zod';
import { Account, DeviceId, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { GroupName } from './groups.ts';
import { PageRequest, pageOf } from './paging.ts';

/**
 * `PREPARING` while its devices are looked up, `RUNNING`, `PAUSED` by an operator or by its failures, `COMPLETED` when
 * every device is done, failed or left out, `CANCELLED` by an operator.
 */
export const CampaignState = z.enum(['PREPARING', 'RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED']);
export type CampaignState = z.infer<typeof CampaignState>;

/**
 * `WAITING` for its turn, `ORDERED` to rotate, `DONE` once seen with its new key, `FAILED` by its own word or by silence,
 * `SKIPPED` because it has no key, `WITHDRAWN` because the campaign was cancelled before it began.
 */
export const CampaignDeviceState = z.enum(['WAITING', 'ORDERED', 'DONE', 'FAILED', 'SKIPPED', 'WITHDRAWN']);
export type CampaignDeviceState = z.infer<typeof CampaignDeviceState>;

export const CampaignPlan = z
  .object({
    deviceIds: z.array(DeviceId).min(1).max(1000).optional(),
    group: GroupName.optional(),
    expiresBefore: Time.optional().describe('Devices whose certificates all end before that'),
    perMinute: z.number().positive().max(60_000).default(60).describe('At most so many are ordered a minute'),
    maxFailures: z
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .default(10)
      .describe('So many failures since it was started or resumed pause it'),
    deadlineHours: z
      .number()
      .positive()
      .max(8760)
      .default(72)
      .describe('A device that is not done so long after its order has failed'),
  })
  .refine(
    ({ deviceIds, group, expiresBefore }) =>
      [deviceIds, group, expiresBefore].filter((each) => each !== undefined).length === 1,
    { path: ['deviceIds'], message: 'name devices, or a group, or a date, and only one of these' },
  );
export type CampaignPlan = z.infer<typeof CampaignPlan>;

export const Campaign = z.object({
  campaignId: z.string(),
  rotationId: z.string().describe('The id that its devices report by, as `certs-1669676316`'),
  deviceIds: z.array(DeviceId).optional(),
  group: GroupName.optional(),
  expiresBefore: Time.optional(),
  perMinute: z.number(),
  maxFailures: z.number().int(),
  deadlineHours: z.number(),
  state: CampaignState,
  reason: z.string().optional().describe('Why it is paused or cancelled'),
  counts: z
    .object({
      WAITING: z.number().int(),
      ORDERED: z.number().int(),
      DONE: z.number().int(),
      FAILED: z.number().int(),
      SKIPPED: z.number().int(),
      WITHDRAWN: z.number().int(),
    } satisfies Record<CampaignDeviceState, z.ZodType>)
    .describe('How many devices are in which state'),
  createdAt: Time,
  createdBy: z.string(),
  endedAt: Time.optional(),
});
export type Campaign = z.infer<typeof Campaign>;

const one = z.object({ account: Account, campaignId: z.string().max(64) });

export const startCampaign = operation('provisioning.start-campaign', {
  input: z.intersection(CampaignPlan, z.object({ account: Account, by: z.string() })),
  output: Campaign,
  errors: ['unknown-group', 'unknown-device'],
});

export const getCampaign = operation('provisioning.get-campaign', {
  idempotent: true,
  input: one,
  output: Campaign,
  errors: ['unknown-campaign'],
});

/** The newest first. */
export const listCampaigns = operation('provisioning.list-campaigns', {
  idempotent: true,
  input: PageRequest.extend({ account: Account }),
  output: pageOf(Campaign),
  errors: [],
});

/**
 * `cancel` is final: devices not yet started are skipped, those that started finish. Doing again what was done changes
 * nothing.
 */
export const changeCampaign = operation('provisioning.change-campaign', {
  input: one.extend({
    action: z.enum(['pause', 'resume', 'cancel']),
    reason: z.string().max(256).optional(),
    by: z.string(),
  }),
  output: Campaign,
  errors: ['unknown-campaign', 'campaign-state'],
});

export const listCampaignDevices = operation('provisioning.list-campaign-devices', {
  idempotent: true,
  input: PageRequest.extend({
    account: Account,
    campaignId: z.string().max(64),
    state: CampaignDeviceState.optional(),
  }),
  output: pageOf(
    z.object({
      deviceId: DeviceId,
      state: CampaignDeviceState,
      orderedAt: Time.optional(),
      endedAt: Time.optional(),
      reason: z.string().optional(),
    }),
  ),
  errors: ['unknown-campaign'],
});
