import type { Operator } from './api-token.ts';
import { type BudgetRefusal, beyondBudget, exhausted } from './budget.ts';
import type { BudgetCounter, Place } from './count-budget.ts';

/** A device that a token wants to make or claim: what it counts as, and its serial number. */
export type Spending = { readonly item: string; readonly serial: string };

/** Whether the budget gives a device. */
export type Admitted =
  | { readonly ok: true; readonly place?: Place }
  | ({ readonly ok: false } & BudgetRefusal);

/** Budgets of tokens as calls use them up. Tokens without one may do what their roles allow. */
export class Budgets {
  readonly #counter: BudgetCounter;
  readonly #now: () => number;

  constructor(counter: BudgetCounter, now: () => number) {
    this.#counter = counter;
    this.#now = now;
  }

  /** In the order of `spendings`; the same item twice gets one place. */
  async admit({ id, budget }: Operator, spendings: readonly Spending[]): Promise<readonly Admitted[]> {
    if (budget === undefined) return spendings.map(() => ({ ok: true }));
    const { count } = budget;
    const now = this.#now();
    const refusals = spendings.map(({ serial }) => beyondBudget(budget, serial, now));
    const items = [...new Set(spendings.filter((_, i) => refusals[i] === undefined).map(({ item }) => item))];
    const places = count === undefined ? [] : await this.#counter.take(id, count, items);
    return spendings.map(({ item }, i): Admitted => {
      const refusal = refusals[i];
      if (refusal !== undefined) return { ok: false, ...refusal };
      if (count === undefined) return { ok: true };
      const place = places[items.indexOf(item)];
      return place === undefined ? { ok: false, ...exhausted(count) } : { ok: true, place };
    });
  }

  /** For what was refused for good: nothing was made of it. What came to an unknown end counts. */
  async giveBack({ id }: Operator, admitted: Admitted): Promise<void> {
    if (admitted.ok && admitted.place !== undefined) await this.#counter.giveBack(id, admitted.place);
  }

  used(token: string): Promise<number> {
    return this.#counter.used(token);
  }
}
