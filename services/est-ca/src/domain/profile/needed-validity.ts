import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { listProfiles, type ProfileDeps } from './keep-profiles.ts';
import type { Profile } from './profile.ts';

/** The profile of an account that gives the longest validity, and that validity in days. */
export type NeededValidity = { readonly profile: string; readonly days: number };

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
