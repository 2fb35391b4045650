import { Account, Refusal, Time } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** A refusal as operators find it: by account and device, or by the certificate that was shown. The id is the event's. */
export const RefusalRecord = Refusal.extend({ id: z.uuidv7(), at: Time, account: Account, type: z.string() });
export type RefusalRecord = z.infer<typeof RefusalRecord>;

export const refusalRecords = {
  name: 'admin-api.refusals',
  schema: RefusalRecord,
  indexes: {
    byAccount: { fields: ['account', 'id'] },
    byDevice: { fields: ['account', 'deviceId', 'id'] },
    byFingerprint: { fields: ['fingerprint', 'id'] },
  },
} as const satisfies CollectionSpec<RefusalRecord>;

/** How long refusals are kept, in ms. */
export const REFUSAL_RETENTION = 30 * 86_400_000;
