import type { CertificateRecord } from '../certificate/certificate.ts';
import { EnrollmentError } from '../enrollment/enrollment-error.ts';
import type { Grant } from './grant.ts';

/** `now`: when the device asked. @throws EnrollmentError `wrong-grant` where it is not this grant's secret or it was voided, `expired-grant` */
export function checkGrant(grant: Grant, use: { readonly secretHash: string; readonly now: number }): void {
  if (grant.secretHash !== use.secretHash)
    throw new EnrollmentError('wrong-grant', 'grant: replaced by a newer one');
  checkVoid(grant);
  if (use.now >= Date.parse(grant.expiresAt))
    throw new EnrollmentError('expired-grant', `grant: expired at ${grant.expiresAt}`);
}

/** @throws EnrollmentError `wrong-grant` where the device was blocked or retired since */
export function checkVoid(grant: Grant): void {
  if (grant.voided !== undefined) throw new EnrollmentError('wrong-grant', `grant: void, ${grant.voided}`);
}

/**
 * A grant is bound to the key of the certificate that is recorded under its serial number: that key may come again until
 * the grant expires, and gets the same certificate.
 * @throws EnrollmentError `used-grant` where it is another key's
 */
export function checkUse(
  recorded: Pick<CertificateRecord, 'publicKeyHash' | 'issuedAt'>,
  publicKeyHash: string,
): void {
  if (recorded.publicKeyHash === publicKeyHash) return;
  throw new EnrollmentError(
    'used-grant',
    `grant: already used at ${recorded.issuedAt} with another key; ask for a new hand-over`,
  );
}
