import { Account, DeviceId, GroupName, LabelQuery, Labels, Time } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** A group; the id is `<account>/<name>`. Its devices are named, or those that `labels` fits. */
export const GroupRecord = z.object({
  id: z.string(),
  account: Account,
  name: GroupName,
  labels: LabelQuery.optional(),
  createdAt: Time,
  createdBy: z.string(),
});
export type GroupRecord = z.infer<typeof GroupRecord>;

export const groupRecords = {
  name: 'provisioning.groups',
  schema: GroupRecord,
  indexes: { byAccount: { fields: ['account', 'name'] } },
} as const satisfies CollectionSpec<GroupRecord>;

/** A device in a group; the id is `<account>/<group>/<device>`. */
export const Membership = z.object({
  id: z.string(),
  account: Account,
  group: GroupName,
  deviceId: DeviceId,
  since: Time,
});
export type Membership = z.infer<typeof Membership>;

export const memberships = {
  name: 'provisioning.memberships',
  schema: Membership,
  indexes: {
    byGroup: { fields: ['account', 'group', 'deviceId'] },
    byDevice: { fields: ['account', 'deviceId', 'group'] },
  },
} as const satisfies CollectionSpec<Membership>;
export type MembershipIndex = keyof typeof memberships.indexes;

/** What operators call a device by; the id is `<account>/<device>`. */
export const DeviceLabels = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  labels: Labels,
  /** When they were changed last; absent in those of 0.1.0. */
  changedAt: Time.optional(),
});
export type DeviceLabels = z.infer<typeof DeviceLabels>;

export const deviceLabels = {
  name: 'provisioning.labels',
  schema: DeviceLabels,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<DeviceLabels>;
