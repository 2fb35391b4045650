import { Account, Fingerprint, PLATFORM_ACCOUNT, ProfileName, ProfileSettings } from '@signet/contracts';
import { keyKinds } from '@signet/pki';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';
import { EnrollmentError } from '../est/enrollment-error.ts';
import { estOperations } from '../est/est-operation.ts';

/** @throws EnrollmentError `unknown-profile` where the account that a label names does not exist */
export type RequireAccount = (account: string) => Promise<void>;

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

/** An EST path label, taken apart. */
export type Label = { readonly id: string; readonly account: string; readonly profile: string };

/**
 * The parts of `<account>` or `<account>.<profile>`, or undefined where it is none. The name of an operation
 * is no label (RFC 7030 §3.2.2), nor is the platform's own account.
 */
export function parseLabel(text: string): Label | undefined {
  const [account = '', profile, ...rest] = text.split('.');
  if (rest.length > 0 || !Account.safeParse(account).success) return undefined;
  if (account === PLATFORM_ACCOUNT || estOperations.has(account)) return undefined;
  if (profile === undefined) return { id: account, account, profile: 'default' };
  if (!ProfileName.safeParse(profile).success) return undefined;
  return { id: labelOf(account, profile), account, profile };
}

/** The label of a profile: the account alone for its default one. */
export function labelOf(account: string, profile: string | undefined): string {
  return profile === undefined || profile === 'default' ? account : `${account}.${profile}`;
}

/** Finds the profile that a label names. */
export type FindProfile = (label: Pick<Label, 'account' | 'profile'>) => Promise<Profile>;

/** @throws EnrollmentError `unknown-profile` where the account has no profile of that name */
export function profileFinder(
  stored: Pick<Collection<Profile>, 'get'>,
  settings: { readonly validityDays: number },
): FindProfile {
  return async ({ account, profile }) => {
    const id = labelOf(account, profile);
    const found = await stored.get(id);
    if (found !== undefined) return found;
    if (id === account) return defaultProfile(account, settings);
    throw new EnrollmentError('unknown-profile', `label: account "${account}" has no profile "${profile}"`);
  };
}

/** A profile that cannot be made, changed or found; `field` names the setting at fault, if one is. */
export class ProfileError extends Error {
  override readonly name = 'ProfileError';
  readonly code: 'unknown-profile' | 'profile-exists' | 'profile-in-use' | 'invalid-profile';
  readonly field: string | undefined;

  constructor(code: ProfileError['code'], message: string, field?: string) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

/** What `{device}`, `{account}` and `{profile}` stand for. */
export type Placeholders = { readonly deviceId: string; readonly account: string; readonly profile: string };

/** The text with its placeholders filled in. */
export function expand(text: string, { deviceId, account, profile }: Placeholders): string {
  return text
    .replaceAll('{device}', deviceId)
    .replaceAll('{account}', account)
    .replaceAll('{profile}', profile);
}

const dnsName = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/** Whether a pattern is a DNS name once its placeholders are filled in. */
export function isDnsPattern(pattern: string): boolean {
  return dnsName.test(expand(pattern, { deviceId: 'd', account: 'a', profile: 'p' }));
}

/** Whether a DNS name is one that the pattern allows; `*.` stands for exactly one label that is no wildcard itself. */
export function matchesDnsPattern(name: string, pattern: string, placeholders: Placeholders): boolean {
  const wanted = expand(pattern, placeholders).toLowerCase();
  const asked = name.toLowerCase();
  if (!wanted.startsWith('*.')) return asked === wanted;
  const dot = asked.indexOf('.');
  return dot > 0 && asked[0] !== '*' && asked.slice(dot) === wanted.slice(1);
}
