import { Account, Fingerprint, ProfileName, ProfileSettings } from '@signet/contracts';
import { keyKinds } from '@signet/pki';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** What an account issues, and to whom. Addressed as the EST path label `<account>` or `<account>.<profile>`. */
export const Profile = ProfileSettings.extend({
  /** The label. */
  id: z.string(),
  account: Account,
  name: ProfileName,
  /** SHA-256 of the shared secret, hex; present where `authentication` has a secret. */
  sharedSecretHash: Fingerprint.optional(),
  /** Key of the webhook's signatures (Standard Webhooks: `whsec_…`); present where there is a webhook. */
  webhookSecret: z.string().optional(),
});
export type Profile = z.infer<typeof Profile>;

/** Profiles as the store keeps them. */
export type Profiles = Collection<Profile, 'account'>;

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
    dnsNames: [],
    otherNames: 'leave-out',
    expiredGraceDays: 0,
    popLinking: false,
    approval: 'none',
    attestation: 'none',
    responseWrapping: 'auto',
    serverKeygen: false,
    csrAttributes: 'list',
    requiredExtensions: [],
    requiredAttributes: [],
  };
}

/** Validity of what is issued under a profile, in days. */
export function validityOf(profile: Profile, renewal: boolean): number {
  return renewal ? (profile.renewedValidityDays ?? profile.validityDays) : profile.validityDays;
}
