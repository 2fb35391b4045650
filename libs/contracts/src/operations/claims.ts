import { z } from 'zod';
import { Account, DeviceId, Fingerprint } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { DeviceSelection, DevicesChanged } from './bootstrap.ts';
import { GroupName } from './groups.ts';

/** What came of one device of a claim of many: only what the caller may know. */
export const ClaimOutcome = z
  .enum([
    'claimed',
    'already-yours',
    'unknown',
    'blocked',
    'anothers',
    'retired',
    'device-id-taken',
    'ambiguous-code',
  ])
  .describe('What came of it; `anothers` does not say whose');
export type ClaimOutcome = z.infer<typeof ClaimOutcome>;

export const ClaimItem = z.object({
  fingerprint: Fingerprint.optional(),
  code: z.string().max(256).optional().describe('Claim code of the label, in place of the fingerprint'),
  deviceId: DeviceId.optional().describe('Default: the id that the factory gave'),
  group: GroupName.optional(),
});
export type ClaimItem = z.infer<typeof ClaimItem>;

export const ClaimResult = z.object({
  outcome: ClaimOutcome,
  fingerprint: Fingerprint.optional(),
  deviceId: DeviceId.optional().describe('Its id in the account, where it is the account’s'),
  message: z.string().optional().describe('Why it is not the account’s, or what of the claim was not done'),
});
export type ClaimResult = z.infer<typeof ClaimResult>;

/** Claims many devices; each stands by itself, and results come in the order of the items. May be repeated. */
export const claimDevices = operation('bootstrap.claim-many', {
  input: z.object({ account: Account, items: z.array(ClaimItem).min(1).max(512), by: z.string() }),
  output: z.object({ results: z.array(ClaimResult) }),
  errors: ['account-suspended'],
});

/** Gives devices up: they leave the account as they left the factory, their certificates are revoked. */
export const unclaimDevices = operation('bootstrap.unclaim', {
  input: DeviceSelection,
  output: DevicesChanged,
  errors: ['unknown-device'],
});

/** Devices start anew in their account: their certificates are revoked, the next handoff is a new onboarding. */
export const resetDevices = operation('bootstrap.reset', {
  input: DeviceSelection,
  output: DevicesChanged,
  errors: ['unknown-device'],
});

/**
 * Registers a second bootstrap certificate of a device (an LDevID beside the IDevID). By the device's owner, or by its
 * factory while nobody owns it, and only for as long: it is gone once another account has the device. It has to be
 * verified by a factory CA that this account registered, and no other. Repeating it changes nothing; one that the device
 * has is replaced.
 */
export const addIdentity = operation('bootstrap.add-identity', {
  input: z.object({
    account: Account,
    fingerprint: Fingerprint.describe('Of the bootstrap certificate that the factory log has'),
    certificate: z.string().max(16_384).describe('The second certificate, PEM'),
    by: z.string(),
  }),
  output: z.object({ fingerprint: Fingerprint, secondFingerprint: Fingerprint }),
  errors: ['unknown-device', 'bad-certificate', 'identity-taken'],
});
