import type { Change } from '@signet/store';
import { EnrollmentError } from '../enrollment/enrollment-error.ts';
import type { Grant, Grants, Reservation } from './grant.ts';

/**
 * Binds a grant to the key that uses it first. The same key may come again until the grant expires and finds the
 * reservation of its first use; another key may not.
 * @throws EnrollmentError `wrong-grant`, `expired-grant`, `used-grant`
 */
export function bindGrant(
  grant: Grant,
  use: { readonly secretHash: string; readonly reservation: Reservation; readonly now: number },
): Change<Grant> | undefined {
  checkGrant(grant, use);
  checkKey(grant, use.reservation.publicKeyHash);
  return grant.use === undefined ? { document: { ...grant, use: use.reservation } } : undefined;
}

/** @throws EnrollmentError `used-grant` where another key used it */
export function checkKey(grant: Grant, publicKeyHash: string): void {
  if (grant.use === undefined || grant.use.publicKeyHash === publicKeyHash) return;
  throw new EnrollmentError(
    'used-grant',
    `grant: already used at ${grant.use.issuedAt} with another key; ask for a new hand-over`,
  );
}

/** `now`: when the device asked. @throws EnrollmentError `wrong-grant` where it is not this grant's secret or it was voided, `expired-grant` */
export function checkGrant(grant: Grant, use: { readonly secretHash: string; readonly now: number }): void {
  if (grant.secretHash !== use.secretHash)
    throw new EnrollmentError('wrong-grant', 'grant: replaced by a newer one');
  if (grant.voided !== undefined) throw new EnrollmentError('wrong-grant', `grant: void, ${grant.voided}`);
  if (use.now >= Date.parse(grant.expiresAt))
    throw new EnrollmentError('expired-grant', `grant: expired at ${grant.expiresAt}`);
}

/** Compare-and-set of the grant, before anything is signed. The reservation that stands is returned. */
export async function reserveByGrant(
  grants: Pick<Grants, 'update'>,
  id: string,
  use: { readonly secretHash: string; readonly reservation: Reservation; readonly now: number },
): Promise<Reservation> {
  const bound = await grants.update(id, (current) => bindGrant(current, use));
  return bound.use ?? use.reservation;
}
