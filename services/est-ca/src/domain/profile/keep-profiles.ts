import { randomBytes } from 'node:crypto';
import { type AttestationCa, PLATFORM_ACCOUNT, type ProfileChanges } from '@signet/contracts';
import { type Collection, isDuplicate, type Stored } from '@signet/store';
import type { NeededValidity } from '../authority/authority-ends.ts';
import { hashSecret, newSecret } from '../grant/grant.ts';
import { checkProfile, type ProfileBounds } from './check-profile.ts';
import type { DeviceProfiles } from './device-profile.ts';
import { defaultProfile, labelOf, type Profile, ProfileError, type Profiles } from './profile.ts';

/** What keeping profiles needs. */
export type ProfileDeps = {
  readonly profiles: Profiles;
  readonly defaults: { readonly validityDays: number };
  readonly bounds: () => ProfileBounds;
};

/** Names one profile. */
export type ProfileKey = { readonly account: string; readonly name: string };

/** A profile that is stored now, and its secrets where they are new. */
export type KeptProfile = { readonly profile: Profile; readonly shown: ShownSecrets };

/** The stored profiles of an account, after the default one if that is not stored. */
export async function listProfiles(
  deps: ProfileDeps,
  account: string,
): Promise<readonly { readonly profile: Profile; readonly stored: boolean }[]> {
  const stored: Profile[] = [];
  let cursor: string | undefined;
  do {
    const page = await deps.profiles.find({
      index: 'account',
      equals: { account },
      ...(cursor === undefined ? {} : { cursor }),
    });
    stored.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  const listed = stored.map((profile) => ({ profile, stored: true }));
  if (stored.some(({ name }) => name === 'default')) return listed;
  return [{ profile: defaultProfile(account, deps.defaults), stored: false }, ...listed];
}

/** @throws ProfileError `profile-exists`, `invalid-profile` */
export async function createProfile(
  deps: ProfileDeps,
  { account, name }: ProfileKey,
  settings: ProfileChanges,
): Promise<KeptProfile> {
  const base = { ...defaultProfile(account, deps.defaults), id: labelOf(account, name), name };
  const kept = withSecrets(changed(base, settings), undefined, false);
  checkProfile(kept.profile, deps.bounds());
  try {
    await deps.profiles.insert(kept.profile);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    throw new ProfileError('profile-exists', `name: account "${account}" has a profile "${name}"`, 'name');
  }
  return kept;
}

/**
 * Changes what is given. The default profile, where it is not stored yet, is stored by that.
 * @throws ProfileError `unknown-profile`, `invalid-profile`
 */
export async function changeProfile(
  deps: ProfileDeps,
  key: ProfileKey,
  settings: ProfileChanges,
  options: { readonly newSecrets: boolean },
): Promise<KeptProfile> {
  const id = labelOf(key.account, key.name);
  if ((await deps.profiles.get(id)) === undefined) {
    if (key.name !== 'default') throw unknown(key);
    return createProfile(deps, key, settings);
  }
  let kept: KeptProfile | undefined;
  const bounds = deps.bounds();
  const profile = await deps.profiles.update(id, (before) => {
    kept = withSecrets(changed(before, settings), before, options.newSecrets);
    checkProfile(kept.profile, bounds);
    return { document: kept.profile };
  });
  return { profile, shown: kept?.shown ?? {} };
}

/**
 * Removes a profile; the account's default one then stands in its place for renewals. One that something names stays:
 * what is set to it at this very moment is refused when it is used.
 * @throws ProfileError `unknown-profile`, `profile-in-use`
 */
export async function removeProfile(
  deps: Pick<ProfileDeps, 'profiles'> & ProfileUsers,
  key: ProfileKey,
): Promise<string> {
  const id = labelOf(key.account, key.name);
  // without it there is the default one anyway
  const users = key.name === 'default' ? [] : await usersOf(deps, key);
  if (users.length > 0)
    throw new ProfileError('profile-in-use', `name: "${id}" is used by ${users.join(', ')}`, 'name');
  if (!(await deps.profiles.remove(id))) throw unknown(key);
  return id;
}

/** The profile as it would be with these changes. `null` takes away a setting that may be absent. */
export function changed(profile: Profile, settings: ProfileChanges): Profile {
  const merged = Object.entries({ ...profile, ...settings }).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  return Object.fromEntries(merged) as Profile;
}

function unknown({ account, name }: ProfileKey): ProfileError {
  return new ProfileError('unknown-profile', `name: account "${account}" has no profile "${name}"`, 'name');
}

/** Devices that a message names; of more it says that there are. */
const NAMED = 3;

/** What names profiles besides certificates, which go on without theirs. */
export type ProfileUsers = {
  readonly deviceProfiles: Pick<DeviceProfiles, 'find'>;
  /** Makers of TPMs, whose rules name profiles. */
  readonly attestationCas: Pick<
    Collection<
      Stored & Pick<AttestationCa, 'account' | 'rules'> & { readonly fingerprint: string },
      'account'
    >,
    'find'
  >;
  /** The profile that the account's devices get in their handoff; `bootstrap` keeps it. */
  readonly handedOverTo: (account: string) => Promise<string | undefined>;
};

/** Who names a profile, in words for operators; empty where nobody does. */
export async function usersOf(deps: ProfileUsers, key: ProfileKey): Promise<readonly string[]> {
  const { account, name } = key;
  const [settings, devices, rules] = await Promise.all([
    deps.handedOverTo(account),
    movedTo(deps, key),
    ruledTo(deps, key),
  ]);
  const more = devices.length > NAMED ? ', …' : '';
  return [
    ...(settings === name ? ['the settings of the account'] : []),
    ...(devices.length === 0 ? [] : [`devices moved to it (${devices.slice(0, NAMED).join(', ')}${more})`]),
    ...rules.map((fingerprint) => `a rule of attestation CA ${fingerprint.slice(0, 16)}…`),
  ];
}

/** Devices that an operator moved to the profile, as long as that holds: one more than a message names, at most. */
async function movedTo({ deviceProfiles }: ProfileUsers, { account, name }: ProfileKey): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await deviceProfiles.find({
      ...{ index: 'profile', equals: { account, profile: name } },
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...page.items.filter(({ endedAt }) => endedAt === undefined).map(({ deviceId }) => deviceId));
    cursor = page.next;
  } while (cursor !== undefined && found.length <= NAMED);
  return found;
}

async function ruledTo({ attestationCas }: ProfileUsers, { account, name }: ProfileKey): Promise<string[]> {
  const { items } = await attestationCas.find({ index: 'account', equals: { account }, limit: 1000 });
  return items
    .filter(({ rules }) => rules.some(({ profile }) => profile === name))
    .map(({ fingerprint }) => fingerprint);
}

/** Secrets as they are shown, once. */
export type ShownSecrets = { readonly sharedSecret?: string; readonly webhookSecret?: string };

/**
 * The profile with the secrets that it needs and without those that it does not. Those of `before` stay unless `anew`
 * is set.
 */
export function withSecrets(
  profile: Profile,
  before: Profile | undefined,
  anew: boolean,
): { readonly profile: Profile; readonly shown: ShownSecrets } {
  const { sharedSecretHash: _hash, webhookSecret: _secret, ...settings } = profile;
  const kept = anew ? undefined : before;
  const hasSecret = profile.authentication === 'secret' || profile.authentication === 'certificate+secret';
  const sharedSecret =
    hasSecret && kept?.sharedSecretHash === undefined ? { sharedSecret: newSecret() } : undefined;
  const webhookSecret =
    profile.webhook !== undefined && kept?.webhookSecret === undefined
      ? { webhookSecret: newWebhookSecret() }
      : undefined;
  const sharedSecretHash =
    sharedSecret === undefined ? kept?.sharedSecretHash : hashSecret(sharedSecret.sharedSecret);
  const signingKey = webhookSecret?.webhookSecret ?? kept?.webhookSecret;
  return {
    profile: {
      ...settings,
      ...(hasSecret && sharedSecretHash !== undefined ? { sharedSecretHash } : {}),
      ...(profile.webhook !== undefined && signingKey !== undefined ? { webhookSecret: signingKey } : {}),
    },
    shown: { ...sharedSecret, ...webhookSecret },
  };
}

/** Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. */
function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** What an issuing CA of the account has to outlast; that of the platform, what any account may ask of it. */
export async function neededValidity(deps: ProfileDeps, account: string): Promise<NeededValidity> {
  if (account === PLATFORM_ACCOUNT) return longestOfAll(deps);
  return (await listProfiles(deps, account)).map(({ profile }) => needOf(profile)).reduce(longer, NONE);
}

const NONE: NeededValidity = { profile: 'default', days: 0 };

async function longestOfAll({ profiles, defaults }: ProfileDeps): Promise<NeededValidity> {
  let longest: NeededValidity = { profile: 'default', days: defaults.validityDays };
  let cursor: string | undefined;
  do {
    const page = await profiles.find({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    longest = page.items.map(needOf).reduce(longer, longest);
    cursor = page.next;
  } while (cursor !== undefined);
  return longest;
}

function needOf({ name, validityDays, renewedValidityDays = 0 }: Profile): NeededValidity {
  return { profile: name, days: Math.max(validityDays, renewedValidityDays) };
}

function longer(one: NeededValidity, other: NeededValidity): NeededValidity {
  return other.days > one.days ? other : one;
}
