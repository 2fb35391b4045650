import type { Profile } from '../profile/profile.ts';

const DAY_MS = 86_400_000;

/** When a certificate begins and ends, Unix milliseconds. */
export type Lifetime = { readonly notBefore: number; readonly notAfter: number };

/** From when on it may be renewed, Unix milliseconds; undefined where the profile sets no window. */
export function opensAt(
  { notAfter }: Pick<Lifetime, 'notAfter'>,
  { renewalWindowDays }: Pick<Profile, 'renewalWindowDays'>,
): number | undefined {
  return renewalWindowDays === undefined ? undefined : notAfter - renewalWindowDays * DAY_MS;
}

/** From when on it is best renewed: as soon as the profile lets it, or after two thirds of its life. */
export function dueAt(lifetime: Lifetime, profile: Pick<Profile, 'renewalWindowDays'>): number {
  const { notBefore, notAfter } = lifetime;
  return opensAt(lifetime, profile) ?? Math.round(notBefore + ((notAfter - notBefore) * 2) / 3);
}

/** How long a certificate that has ended may still renew itself: its end, Unix milliseconds. */
export function graceEndsAt(
  { notAfter }: Pick<Lifetime, 'notAfter'>,
  { expiredGraceDays }: Pick<Profile, 'expiredGraceDays'>,
): number {
  return notAfter + expiredGraceDays * DAY_MS;
}
