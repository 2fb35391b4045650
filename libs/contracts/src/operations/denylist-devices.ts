import { z } from 'zod';
import { DeviceState } from '../device-state.ts';
import { Account, DeviceId, Fingerprint, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { GroupName } from './groups.ts';

/** Devices of one account: by their ids, or all that a group, a state and a model have in common. */
export const DeviceQuery = z
  .object({
    deviceIds: z.array(DeviceId).min(1).max(10_000).optional(),
    group: GroupName.optional(),
    state: DeviceState.optional(),
    model: z.string().min(1).max(128).optional(),
  })
  .refine(({ deviceIds, group, state, model }) => (deviceIds ?? group ?? state ?? model) !== undefined, {
    path: ['deviceIds'],
    message: 'name the devices by deviceIds, group, state or model',
  });
export type DeviceQuery = z.infer<typeof DeviceQuery>;

const done = z.object({
  /** The change of the deny list at which it holds. */
  number: z.number().int(),
  devices: z.number().int(),
  /** Ids that were named and that no device of the account has: they are denied anyway. */
  unknown: z.array(DeviceId).optional(),
});

/** Denies devices and the bootstrap certificates that they were made with, in one call. Repeating it changes nothing. */
export const denyDevices = operation('revocation-sync.deny-devices', {
  input: z.object({
    account: Account,
    devices: DeviceQuery,
    reason: z.string().max(256),
    /** Unix seconds; absent for never. */
    expiresAt: z.number().int().optional(),
    by: z.string(),
    /** When the operator asked. */
    askedAt: Time.optional(),
  }),
  output: done,
  errors: ['unknown-device', 'unknown-group'],
});

/** Takes back what {@link denyDevices} did; what is denied for other reasons stays so. */
export const liftDevices = operation('revocation-sync.lift-devices', {
  input: z.object({ account: Account, devices: DeviceQuery, by: z.string() }),
  output: done,
  errors: ['unknown-device', 'unknown-group'],
});

/** Who devices are, for services that know them by one name only; what is not known is left out. */
export const identifyDevices = operation('bootstrap.identify-devices', {
  idempotent: true,
  input: z.object({
    account: Account.optional(),
    /** Ids in `account`. */
    deviceIds: z.array(DeviceId).max(1000).default([]),
    fingerprints: z.array(Fingerprint).max(1000).default([]),
  }),
  output: z.object({
    devices: z.array(
      z.object({
        deviceId: DeviceId,
        fingerprint: Fingerprint,
        /** Absent until it is claimed. */
        account: Account.optional(),
        factoryAccount: Account,
        claimedAt: Time.optional(),
        /** Group that its claim put it in. */
        group: z.string().optional(),
        /** Whether that waits to be read ({@link listClaimedInto}); absent in claims of 0.1.0. */
        groupPending: z.boolean().optional(),
      }),
    ),
  }),
  errors: [],
});
