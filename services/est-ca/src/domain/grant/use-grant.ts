import { StoreError } from '@signet/store';
import { EnrollmentError } from '../enrollment/enrollment-error.ts';
import type { Grant, GrantUse, GrantUses, Reservation } from './grant.ts';

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

/** @throws EnrollmentError `used-grant` where another key used it */
export function checkUse(use: GrantUse | undefined, publicKeyHash: string): void {
  if (use === undefined || use.reservation.publicKeyHash === publicKeyHash) return;
  throw new EnrollmentError(
    'used-grant',
    `grant: already used at ${use.reservation.issuedAt} with another key; ask for a new hand-over`,
  );
}

/**
 * Binds a grant to the key that uses it first, before anything is signed: of all that insert its use, on whatever store,
 * one does. The same key may come again until the grant expires and finds the reservation of its first use; another key
 * may not.
 * @returns the reservation that stands
 * @throws EnrollmentError `wrong-grant`, `expired-grant`, `used-grant`
 */
export async function reserveByGrant(
  uses: Pick<GrantUses, 'get' | 'insert'>,
  grant: Grant,
  use: { readonly secretHash: string; readonly reservation: Reservation; readonly now: number },
): Promise<Reservation> {
  checkGrant(grant, use);
  const { account, deviceId } = grant;
  try {
    await uses.insert({ id: use.secretHash, account, deviceId, reservation: use.reservation });
    return use.reservation;
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
    const standing = await uses.get(use.secretHash);
    if (standing === undefined) throw error;
    checkUse(standing, use.reservation.publicKeyHash);
    return standing.reservation;
  }
}
