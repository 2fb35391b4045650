import { EnrollmentError } from '../enrollment/enrollment-error.ts';
import type { Profile } from '../profile/profile.ts';
import { graceEndsAt, opensAt } from './renewal-times.ts';

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
