import { Account } from '@signet/contracts';
import { keyKinds } from '@signet/pki';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** Name of a profile within its account; the default one is called `default` and may be left out of the label. */
export const ProfileName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'profile: lower-case letters, digits and "-", at most 40');

/** What an account issues, and to whom. Addressed as the EST path label `<account>` or `<account>.<profile>`. */
export const Profile = z.object({
  /** The label. */
  id: z.string(),
  account: Account,
  name: ProfileName,
  /** `grant`: a live grant is needed, a certificate is checked if one comes; `certificate+grant`: both are needed. */
  authentication: z.enum(['grant', 'certificate+grant']),
  keyKinds: z.array(z.enum(keyKinds)).min(1),
  validityDays: z.number().int().min(1).max(36_500),
  /** `fixed`: made of the device's identity; `keep`: the CSR's bytes, if they name this device. */
  subject: z.enum(['fixed', 'keep']),
  /** How long before its end a certificate may be renewed, in days; absent for any time. */
  renewalWindowDays: z.number().int().min(1).optional(),
  /** Line breaks of base64 answers; `auto` leaves them out where the request has no User-Agent. */
  responseWrapping: z.enum(['auto', 'wrapped', 'unwrapped']),
});
export type Profile = z.infer<typeof Profile>;

export const profiles: CollectionSpec<Profile, 'account'> = {
  name: 'est-ca.profiles',
  schema: Profile,
  indexes: { account: { fields: ['account', 'name'], unique: true } },
};

/** The profile that every account has as long as none of its own stands in its place. */
export function defaultProfile(account: string, settings: { readonly validityDays: number }): Profile {
  return {
    id: account,
    account,
    name: 'default',
    authentication: 'grant',
    keyKinds: [...keyKinds],
    validityDays: settings.validityDays,
    subject: 'fixed',
    responseWrapping: 'auto',
  };
}
