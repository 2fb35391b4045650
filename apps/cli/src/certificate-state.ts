import type { IssuedCertificate } from '@signet/contracts';

/** How a certificate stands at `now` (Unix ms): what was revoked stays revoked past its end too. */
export function certificateState(
  {
    notAfter,
    revokedAt,
    revocationReason,
  }: Pick<IssuedCertificate, 'notAfter' | 'revokedAt' | 'revocationReason'>,
  now: number,
): string {
  if (revokedAt !== undefined) return `${revocationReason ?? 'revoked'} ${revokedAt}`;
  return Date.parse(notAfter) <= now ? 'expired' : 'live';
}
