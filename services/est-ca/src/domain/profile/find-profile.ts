import type { Collection } from '@signet/store';
import { EnrollmentError } from '../enrollment/enrollment-error.ts';
import { type Label, labelOf } from './label.ts';
import { defaultProfile, type Profile } from './profile.ts';

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
