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
 * Inserts the reservation, or finds the one that an earlier request with the same certificate and key made.
 * @returns the reservation that stands
 */
export async function reserveRenewal(
  renewals: Pick<Collection<Renewal>, 'insert' | 'get'>,
  wanted: Omit<Renewal, 'id'>,
): Promise<Reservation> {
  const id = createHash('sha256')
    .update(`${wanted.currentSerialNumber}:${wanted.reservation.publicKeyHash}`)
    .digest('hex');
  try {
    await renewals.insert({ ...wanted, id });
    return wanted.reservation;
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
    const standing = await renewals.get(id);
    if (standing === undefined) throw error;
    return standing.reservation;
  }
}
