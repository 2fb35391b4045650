import { createHash } from 'node:crypto';
import { Account, DeviceId, SerialNumber, Time } from '@signet/contracts';
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
  /** From then on a request of the same key is no retry, and this decides nothing. */
  retryUntil: Time,
});
export type Renewal = z.infer<typeof Renewal>;

export const renewals: CollectionSpec<Renewal, 'passing'> = {
  name: 'est-ca.renewals',
  schema: Renewal,
  indexes: { passing: { fields: ['retryUntil'] } },
};

/**
 * Inserts the reservation, or finds the one that an earlier request with the same certificate and key made. One whose
 * certificate is past half of its life is made anew: that request is no retry any more.
 * @returns the reservation that stands
 */
export async function reserveRenewal(
  renewals: Pick<Collection<Renewal>, 'insert' | 'update'>,
  wanted: Omit<Renewal, 'id' | 'retryUntil'>,
  now: number,
): Promise<Reservation> {
  const id = createHash('sha256')
    .update(`${wanted.currentSerialNumber}:${wanted.reservation.publicKeyHash}`)
    .digest('hex');
  const retryUntil = new Date(halfOf(wanted.reservation)).toISOString();
  const document = { ...wanted, id, retryUntil };
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

function isPastHalf(reservation: Reservation, now: number): boolean {
  return now > halfOf(reservation);
}

function halfOf({ issuedAt, notAfter }: Reservation): number {
  return (Date.parse(issuedAt) + Date.parse(notAfter)) / 2;
}
