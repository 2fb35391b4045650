import { listProfiles, type ProfileDeps } from './keep-profiles.ts';

/** The profile of an account that gives the longest validity, and that validity in days. */
export type NeededValidity = { readonly profile: string; readonly days: number };

/** What an issuing CA of the account has to outlast. */
export async function neededValidity(deps: ProfileDeps, account: string): Promise<NeededValidity> {
  const needs = (await listProfiles(deps, account)).map(
    ({ profile: { name, validityDays, renewedValidityDays = 0 } }) => ({
      profile: name,
      days: Math.max(validityDays, renewedValidityDays),
    }),
  );
  return needs.reduce((longest, next) => (next.days > longest.days ? next : longest), {
    profile: 'default',
    days: 0,
  });
}
