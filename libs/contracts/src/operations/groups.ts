import { z } from 'zod';
import { Account, DeviceId, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

export const GroupName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'group: letters, digits, "_" and "-", at most 64');

/** A name that a group may have for one that it may not: for data from before there was one rule. */
export function groupNameOf(text: string): string {
  const name = text
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);
  return name === '' ? 'unnamed' : name;
}

const key = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$/, 'label: letters, digits, "_", ".", "/" and "-", at most 63');
const value = z
  .string()
  .regex(/^[A-Za-z0-9_.:/-]{0,63}$/, 'label: letters, digits and "_.:/-", at most 63 in its value');

/** What operators know a device by: name → value. */
export const Labels = z
  .record(key, value)
  .refine((labels) => Object.keys(labels).length <= 64, 'labels: at most 64');
export type Labels = z.infer<typeof Labels>;

/** `site=hall-3,tier!=test,has-tpm,!retired`: all of them must hold. */
export const LabelQuery = z
  .string()
  .max(1024)
  .refine(
    (text) =>
      text.split(',').every((term) => {
        const match = /^(!?)([^=!]+)(?:(!?=)(.*))?$/.exec(term.trim());
        if (match === null || !key.safeParse(match[2]).success) return false;
        return match[3] === undefined || (match[1] === '' && value.safeParse(match[4]).success);
      }),
    'labels: terms as "site=hall-3", "tier!=test", "has-tpm" or "!retired", with "," between them',
  );

/** Devices that are named, or with `labels` those that a query fits at any time. */
export const Group = z.object({
  name: GroupName,
  labels: LabelQuery.optional(),
  devices: z.number().int().describe('How many are in it'),
  createdAt: Time,
  createdBy: z.string(),
});
export type Group = z.infer<typeof Group>;

const one = z.object({ account: Account, group: GroupName });

export const createGroup = operation('provisioning.create-group', {
  input: one.extend({ labels: LabelQuery.optional(), by: z.string() }),
  output: Group,
  errors: ['group-exists'],
});

export const listGroups = operation('provisioning.list-groups', {
  idempotent: true,
  input: PageRequest.extend({ account: Account }),
  output: pageOf(Group),
  errors: [],
});

/** Its devices lose its config, and nothing else. */
export const removeGroup = operation('provisioning.remove-group', {
  input: one.extend({ by: z.string() }),
  output: z.object({}),
  errors: ['unknown-group'],
});

/** Repeating it changes nothing. */
export const changeGroup = operation('provisioning.change-group', {
  input: one.extend({
    add: z.array(DeviceId).max(1000).default([]),
    remove: z.array(DeviceId).max(1000).default([]),
    by: z.string(),
  }),
  output: z.object({ added: z.array(DeviceId), removed: z.array(DeviceId) }),
  errors: ['unknown-group', 'unknown-device', 'group-by-labels'],
});

export const listGroupDevices = operation('provisioning.list-group-devices', {
  idempotent: true,
  input: PageRequest.extend({ account: Account, group: GroupName }),
  output: pageOf(z.object({ deviceId: DeviceId, since: Time })),
  errors: ['unknown-group'],
});

/**
 * Devices whose claim names a group that `provisioning` has not read yet. A claim is one write, with its group: whoever
 * asks for the devices of a group reads these first.
 */
export const listClaimedInto = operation('bootstrap.claimed-into', {
  input: PageRequest.extend({ account: Account, group: GroupName.optional() }),
  output: pageOf(z.object({ deviceId: DeviceId, group: GroupName, claimedAt: Time })),
  errors: [],
});

/** The groups of these claims were read. `gone`: the devices that are not claimed like that any more. */
export const settleClaimed = operation('bootstrap.settle-claimed', {
  input: z.object({
    account: Account,
    claims: z.array(z.object({ deviceId: DeviceId, claimedAt: Time })).max(1000),
  }),
  output: z.object({ gone: z.array(DeviceId) }),
  errors: [],
});

/** Sets labels, and takes others away; groups by labels follow at once for this device. */
export const labelDevice = operation('provisioning.label-device', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    set: Labels.default({}),
    remove: z.array(z.string().max(63)).max(64).default([]),
    by: z.string(),
  }),
  output: z.object({ labels: Labels, groups: z.array(GroupName) }),
  errors: ['unknown-device', 'too-many-labels'],
});

export const getDeviceLabels = operation('provisioning.device-labels', {
  idempotent: true,
  input: z.object({ account: Account, deviceId: DeviceId }),
  output: z.object({ labels: Labels, groups: z.array(GroupName) }),
  errors: [],
});
