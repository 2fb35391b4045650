import { Account, DeviceId, GroupName, LabelQuery, Labels, Time } from '@signet/contracts';
import type { Collection } from '@signet/store';
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

export type Groups = Collection<GroupRecord, 'byAccount'>;

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

export type LabelRecords = Collection<DeviceLabels, 'byAccount'>;

/** Whether all terms of a query (`site=hall-3,tier!=test,has-tpm,!retired`) hold for these labels. */
export function matchesLabels(query: string, labels: Labels): boolean {
  return query.split(',').every((text) => {
    const [, not = '', key = '', relation, value = ''] =
      /^(!?)([^=!]+)(?:(!?=)(.*))?$/.exec(text.trim()) ?? [];
    const held = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (relation === '=') return held === value;
    if (relation === '!=') return held !== value;
    return not === '' ? held !== undefined : held === undefined;
  });
}
