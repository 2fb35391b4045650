import { Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/**
 * One device that a token's budget was used for. The id is `<token>/<number>`: numbers go up from 0 and are never
 * given twice. Written once, never changed, so that counting needs nothing but the uniqueness of inserts.
 */
export const BudgetUse = z.object({
  id: z.string(),
  token: z.string(),
  number: z.number().int().min(0),
  /** What the device is known by: account and serial number, or account and fingerprint. */
  item: z.string().max(512),
  /** How often this item was given back before. */
  attempt: z.number().int().min(0),
  at: Time,
});
export type BudgetUse = z.infer<typeof BudgetUse>;

export const budgetUses = {
  name: 'admin-api.budget-uses',
  schema: BudgetUse,
  indexes: {
    byNumber: { fields: ['token', 'number'] },
    byItem: { fields: ['token', 'item', 'attempt'], unique: true },
  },
} as const satisfies CollectionSpec<BudgetUse>;

/**
 * What became of a use, by the use's id: it was given back because nothing was made of it, or it is `kept` because
 * somebody else asked for the same item meanwhile. Whoever inserts first decides.
 */
export const BudgetFate = z.object({ id: z.string(), token: z.string(), fate: z.enum(['kept', 'returned']) });
export type BudgetFate = z.infer<typeof BudgetFate>;

export const budgetFates = {
  name: 'admin-api.budget-fates',
  schema: BudgetFate,
  indexes: { byFate: { fields: ['token', 'fate'] } },
} as const satisfies CollectionSpec<BudgetFate>;

export type BudgetUses = Collection<BudgetUse, keyof typeof budgetUses.indexes>;
export type BudgetFates = Collection<BudgetFate, keyof typeof budgetFates.indexes>;
