import { createHash } from 'node:crypto';
import { Account, DeviceId, SerialNumber } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { StoreError } from '@signet/store';
import { z } from 'zod';
import { Reservation } from '../grant/grant.ts';

/** What a renewal settles before anything is signed. Its id is a hash of the current serial number and the new key. */
export const Renewal = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  currentSerialNumber: SerialNumber,
  reservation: Reservation,
});
export type Renewal = z.infer<typeof Renewal>;

export const renewals: CollectionSpec<Renewal, never> = {
  name: 'est-ca.renewals',
  schema: Renewal,
  indexes: {},
};

/**
 * Inserts the reservation, or finds the one that an earlier request with the same certificate and key made. One whose
 * certificate is past half of its life is made anew: that request is no retry any more.
 * @returns the reservation that stands
 */
export async function reserveRenewal(
  renewals: Pick<Collection<Renewal>, 'insert' | 'update'>,
  wanted: Omit<Renewal, 'id'>,
  now: number,
): Promise<Reservation> {
  const id = createHash('sha256')
    .update(`${wanted.currentSerialNumber}:${wanted.reservation.publicKeyHash}`)
    .digest('hex');
  const document = { ...wanted, id };
  try {
    await renewals.insert(document);
    return wanted.reservation;
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
  }
  const standing = await renewals.update(id, ({ reservation }) =>
    isPastHalf(reservation, now) ? { document } : undefined,
  );
  return standing.reservation;
}

function isPastHalf({ issuedAt, notAfter }: Reservation, now: number): boolean {
  return now > (Date.parse(issuedAt) + Date.parse(notAfter)) / 2;
}
