import { Account, CampaignDeviceState, CampaignState, DeviceId, GroupName, Time } from '@signet/contracts';
import type { Collection } from '@signet/store';
import { z } from 'zod';

/** A campaign of rotations; the id is `<account>/<campaign id>`. */
export const CampaignRecord = z.object({
  id: z.string(),
  account: Account,
  campaignId: z.string(),
  rotationId: z.string(),
  deviceIds: z.array(DeviceId).optional(),
  group: GroupName.optional(),
  expiresBefore: Time.optional(),
  perMinute: z.number(),
  maxFailures: z.number().int(),
  deadlineHours: z.number(),
  state: CampaignState,
  /** Present while there is something to do for it. */
  active: z.literal(true).optional(),
  reason: z.string().optional(),
  /** The next order is due then: one for each 60 s / perMinute. */
  nextOrderAt: Time,
  /** Its devices are all written down. */
  preparedAt: Time.optional(),
  /** Failures that were known when it was started or resumed. */
  forgivenFailures: z.number().int(),
  createdAt: Time,
  createdBy: z.string(),
  endedAt: Time.optional(),
});
export type CampaignRecord = z.infer<typeof CampaignRecord>;

export type Campaigns = Collection<CampaignRecord, 'byAccount' | 'active'>;

/** A device of a campaign; the id is `<account>/<campaign id>/<device>`. */
export const CampaignDevice = z.object({
  id: z.string(),
  account: Account,
  campaignId: z.string(),
  deviceId: DeviceId,
  state: CampaignDeviceState,
  orderedAt: Time.optional(),
  /** Ordered, and its config does not say so yet. */
  unwritten: z.literal(true).optional(),
  endedAt: Time.optional(),
  reason: z.string().optional(),
});
export type CampaignDevice = z.infer<typeof CampaignDevice>;

export type CampaignDevices = Collection<CampaignDevice, 'byState' | 'unwritten' | 'byOrder' | 'byDevice'>;
