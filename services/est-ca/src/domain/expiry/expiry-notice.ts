import { SerialNumber, Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/**
 * That `CERT_EXPIRING` was said of a certificate, so many days ahead. Its id is `<serial number>/<days>`: of all replicas
 * one inserts it, and the event goes with that write.
 */
export const ExpiryNotice = z.object({
  id: z.string(),
  serialNumber: SerialNumber,
  days: z.number().int(),
  /** Of the certificate; then the notice goes. */
  notAfter: Time,
});
export type ExpiryNotice = z.infer<typeof ExpiryNotice>;

export const expiryNotices: CollectionSpec<ExpiryNotice, 'ending'> = {
  name: 'est-ca.expiry-notices',
  schema: ExpiryNotice,
  indexes: { ending: { fields: ['notAfter'] } },
};

/** Notices as the store keeps them. */
export type ExpiryNotices = Collection<ExpiryNotice, 'ending'>;

/** How far certificates were looked through for one number of days ahead; the id is that number. */
export const ExpiryMark = z.object({ id: z.string(), coveredTo: Time });
export type ExpiryMark = z.infer<typeof ExpiryMark>;

export const expiryMarks: CollectionSpec<ExpiryMark, never> = {
  name: 'est-ca.expiry-marks',
  schema: ExpiryMark,
  indexes: {},
};

/** Marks as the store keeps them. */
export type ExpiryMarks = Collection<ExpiryMark>;
