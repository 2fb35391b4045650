import type { ProfileChanges } from '@signet/contracts';
import { StoreError } from '@signet/store';
import { checkProfile, type ProfileBounds } from './check-profile.ts';
import { labelOf } from './label.ts';
import { defaultProfile, type Profile, type Profiles } from './profile.ts';
import { ProfileError } from './profile-error.ts';
import { type ShownSecrets, withSecrets } from './profile-secrets.ts';
import { type ProfileUsers, usersOf } from './profile-users.ts';

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
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
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
  // without it there is the default one all the same
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
