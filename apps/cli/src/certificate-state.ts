import type { IssuedCertificate } from '@signet/contracts';

/** Reasons (RFC 5280 §5.3.1) that every revocation by an operator has. */
const PLAIN: ReadonlySet<string | undefined> = new Set([undefined, 'unspecified', 'cessationOfOperation']);

/**
 * How a certificate stands at `now` (Unix ms): what was revoked stays revoked past its end too. The reason stands for it
 * where it says more than that an operator revoked it.
 */
export function certificateState(
  {
    notAfter,
    revokedAt,
    revocationReason,
  }: Pick<IssuedCertificate, 'notAfter' | 'revokedAt' | 'revocationReason'>,
  now: number,
): string {
  if (revokedAt !== undefined)
    return `${PLAIN.has(revocationReason) ? 'revoked' : revocationReason} ${revokedAt}`;
  return Date.parse(notAfter) <= now ? 'expired' : 'live';
}
