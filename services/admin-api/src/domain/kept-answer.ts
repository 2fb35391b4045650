import { Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** A call with an `Idempotency-Key`. Its id is the SHA-256 of the caller's token id and the key. */
export const KeptAnswer = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  /** SHA-256 of method, path and body: the key is good for this call alone. */
  request: z.string().regex(/^[0-9a-f]{64}$/),
  /** Tells the replica that runs the call from one that took it over. */
  attempt: z.string(),
  startedAt: Time,
  /** Present once the call went well. */
  done: z
    .object({
      status: z.number().int(),
      /** Base64 of nonce, ciphertext and tag: only the caller's token opens it, for answers hold secrets. */
      sealed: z.string().optional(),
    })
    .optional(),
  expiresAt: Time,
});
export type KeptAnswer = z.infer<typeof KeptAnswer>;
export type KeptAnswers = Collection<KeptAnswer, 'byExpiry'>;

export const keptAnswers = {
  name: 'admin-api.kept-answers',
  schema: KeptAnswer,
  indexes: { byExpiry: { fields: ['expiresAt'] } },
} as const satisfies CollectionSpec<KeptAnswer>;

const PAGE = 1000;

/** Forgets answers whose time is over; replicas may do so at once. */
export async function purgeKeptAnswers(answers: KeptAnswers, now: number): Promise<void> {
  for (;;) {
    const to = new Date(now).toISOString();
    const { items } = await answers.find({ index: 'byExpiry', to, limit: PAGE });
    // a call that takes the key over meanwhile goes on under the same id
    for (const { id } of items) await answers.remove(id, ({ expiresAt }) => expiresAt < to);
    if (items.length < PAGE) return;
  }
}
