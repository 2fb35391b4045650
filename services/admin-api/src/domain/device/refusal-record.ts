import { Account, Refusal, Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
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
export type RefusalRecords = Collection<RefusalRecord, keyof typeof refusalRecords.indexes>;

/** How long refusals are kept, in ms. */
export const REFUSAL_RETENTION = 30 * 86_400_000;

/** Removes refusals that are older than their retention. */
export async function purgeRefusals(
  refusals: Pick<RefusalRecords, 'find' | 'remove'>,
  now: number,
): Promise<void> {
  const before = new Date(now - REFUSAL_RETENTION).toISOString();
  for (;;) {
    const { items } = await refusals.find({ limit: 1000 });
    const old = items.filter((refusal) => refusal.at < before);
    await Promise.all(old.map(({ id }) => refusals.remove(id)));
    if (old.length < items.length || items.length === 0) return;
  }
}
