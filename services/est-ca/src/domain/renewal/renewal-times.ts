import { EnrollmentError } from '../est/enrollment-error.ts';
import type { Profile } from '../profile/profile.ts';

/** What lets a renewal through: that it is in time, the profile's grace, or else only a grant for that one device. */
export type RenewalTime = 'in-time' | 'within-grace' | 'needs-grant';

/**
 * Whether it is time to renew. That the certificate is genuine and not revoked is verified elsewhere, whatever its age.
 * @throws EnrollmentError `too-early`, with the earliest time
 */
export function renewalTime(
  certificate: { readonly notAfter: number },
  profile: Pick<Profile, 'renewalWindowDays' | 'expiredGraceDays'>,
  now: number,
): RenewalTime {
  const opens = opensAt(certificate, profile);
  if (opens !== undefined && now < opens)
    throw new EnrollmentError(
      'too-early',
      `renewal: too early, the earliest time is ${new Date(opens).toISOString()}`,
    );
  if (now <= certificate.notAfter) return 'in-time';
  return now <= graceEndsAt(certificate, profile) ? 'within-grace' : 'needs-grant';
}

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

/** The part of what is left of its life from then on, over which those that were issued together renew. */
const SPREAD = 1 / 3;

/**
 * When one certificate of a fleet is best renewed: somewhere in the first third of what is left from {@link dueAt} on, by
 * its serial number, which is random. A fleet that was onboarded in a minute does not come back in one.
 */
export function spreadDueAt(
  certificate: Lifetime & { readonly serialNumber: string },
  profile: Pick<Profile, 'renewalWindowDays'>,
): number {
  const opens = dueAt(certificate, profile);
  // its last digits: by the first, the renewals of one minute are spread
  const place = Number.parseInt(certificate.serialNumber.slice(-8), 16) / 2 ** 32;
  return Math.round(opens + Math.max(certificate.notAfter - opens, 0) * SPREAD * place);
}

/** How long a certificate that has ended may still renew itself: its end, Unix milliseconds. */
export function graceEndsAt(
  { notAfter }: Pick<Lifetime, 'notAfter'>,
  { expiredGraceDays }: Pick<Profile, 'expiredGraceDays'>,
): number {
  return notAfter + expiredGraceDays * DAY_MS;
}
