import { Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
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

/** A place in the budget for one item. `own`: taken by this very call, which alone may give it back. */
export type Place = { readonly use: string; readonly own: boolean };

/**
 * Counts what a token uses up, exactly and for good: on every engine, with any number of replicas, whatever is
 * repeated. An item has at most one live place, so asking again for the same one costs nothing. A place is an insert
 * with a number below `count` plus what was given back; two who want one number collide, and one takes the next.
 */
export class BudgetCounter {
  readonly #uses: BudgetUses;
  readonly #fates: BudgetFates;
  readonly #now: () => number;

  constructor(deps: { readonly uses: BudgetUses; readonly fates: BudgetFates; readonly now: () => number }) {
    this.#uses = deps.uses;
    this.#fates = deps.fates;
    this.#now = deps.now;
  }

  /** A place for each item, in their order; undefined where the budget is used up. Items are pairwise different. */
  async take(token: string, count: number, items: readonly string[]): Promise<(Place | undefined)[]> {
    const places = new Array<Place | undefined>(items.length);
    let open = items.map((_, i) => i);
    while (open.length > 0) {
      const attempts = await Promise.all(open.map((i) => this.#join(token, items[i] ?? '')));
      const wanting: { i: number; attempt: number }[] = [];
      attempts.forEach((joined, at) => {
        const i = open[at] ?? 0;
        if (typeof joined === 'number') wanting.push({ i, attempt: joined });
        else places[i] = joined;
      });
      const numbers = await this.#freeNumbers(token, count, wanting.length);
      const taken = await Promise.all(
        wanting.slice(0, numbers.length).map(async ({ i, attempt }, at) => {
          const item = items[i] ?? '';
          const use = await this.#insert({ token, number: numbers[at] ?? 0, item, attempt });
          if (use !== undefined) places[i] = { use, own: true };
          return use === undefined ? [i] : [];
        }),
      );
      open =
        numbers.length === 0 ? [] : [...taken.flat(), ...wanting.slice(numbers.length).map(({ i }) => i)];
    }
    return places;
  }

  /** Nothing was made of it: the place is free again, unless somebody else asked for the same item meanwhile. */
  async giveBack(token: string, place: Place): Promise<void> {
    if (place.own) await this.#decide(token, place.use, 'returned');
  }

  /** How many devices count. */
  async used(token: string): Promise<number> {
    const [uses, returned] = await Promise.all([
      this.#uses.count({ index: 'byNumber', equals: { token } }),
      this.#returned(token),
    ]);
    return uses - returned;
  }

  /** The live place of an item if it has one, else the number of its next attempt. */
  async #join(token: string, item: string): Promise<Place | number> {
    const query = { index: 'byItem', equals: { token, item }, descending: true, limit: 1 } as const;
    const [last] = (await this.#uses.find(query)).items;
    if (last === undefined) return 0;
    const fate = await this.#decide(token, last.id, 'kept');
    return fate === 'returned' ? last.attempt + 1 : { use: last.id, own: false };
  }

  /** Numbers that look free, at most `wanted`; none at all where the budget is used up. */
  async #freeNumbers(token: string, count: number, wanted: number): Promise<readonly number[]> {
    if (wanted === 0) return [];
    const newest = { index: 'byNumber', equals: { token }, descending: true, limit: 1 } as const;
    const next = ((await this.#uses.find(newest)).items[0]?.number ?? -1) + 1;
    const end = next + wanted <= count ? count : count + (await this.#returned(token));
    const above = Array.from({ length: Math.max(Math.min(end - next, wanted), 0) }, (_, i) => next + i);
    return above.length > 0 ? above : await this.#gaps(token, Math.min(end, next), wanted);
  }

  /** Numbers below `end` that nobody has: whoever wanted them was stopped, or found the item taken. */
  async #gaps(token: string, end: number, wanted: number): Promise<readonly number[]> {
    if ((await this.#uses.count({ index: 'byNumber', equals: { token }, to: end })) >= end) return [];
    const gaps: number[] = [];
    let expected = 0;
    let cursor: string | undefined;
    do {
      const more = cursor === undefined ? {} : { cursor };
      const page = await this.#uses.find({
        index: 'byNumber',
        equals: { token },
        to: end,
        limit: 1000,
        ...more,
      });
      for (const { number } of page.items) {
        while (expected < number && gaps.length < wanted) gaps.push(expected++);
        expected = number + 1;
      }
      cursor = page.next;
    } while (cursor !== undefined && gaps.length < wanted);
    return gaps;
  }

  /** Undefined where the number or the item was taken meanwhile. */
  async #insert(use: Omit<BudgetUse, 'id' | 'at'>): Promise<string | undefined> {
    const id = `${use.token}/${use.number}`;
    try {
      await this.#uses.insert({ ...use, id, at: new Date(this.#now()).toISOString() });
      return id;
    } catch (error) {
      if (isDuplicate(error)) return undefined;
      throw error;
    }
  }

  async #decide(token: string, use: string, fate: BudgetFate['fate']): Promise<BudgetFate['fate']> {
    try {
      await this.#fates.insert({ id: use, token, fate });
      return fate;
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      return (await this.#fates.get(use))?.fate ?? fate;
    }
  }

  async #returned(token: string): Promise<number> {
    return this.#fates.count({ index: 'byFate', equals: { token, fate: 'returned' } });
  }
}
