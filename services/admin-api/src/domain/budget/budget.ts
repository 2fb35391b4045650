import { isSerialAmong, parseSerialRange, Time } from '@signet/contracts';
import { z } from 'zod';
import type { BudgetCounter, Place } from './count-budget.ts';

const Serial = z
  .string()
  .min(1)
  .max(256)
  .superRefine((text, context) => {
    try {
      parseSerialRange(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
    }
  });

/** What a token of role `factory`, `installer` or `registrar` may use up (F87): a device that is made, claimed or registered counts once. */
export const Budget = z
  .object({
    count: z.number().int().min(1).max(100_000_000).optional().describe('How many devices'),
    notAfter: Time.optional().describe('Until when'),
    serials: z
      .array(Serial)
      .min(1)
      .max(1000)
      .optional()
      .describe('Which devices: serial numbers, or ranges such as `SN-0001..SN-9999`'),
  })
  .refine(({ count, notAfter, serials }) => (count ?? notAfter ?? serials) !== undefined, {
    message: 'budget: give a count, a time or serial numbers',
  });
export type Budget = z.infer<typeof Budget>;

export const budgetCodes = ['budget-exhausted', 'budget-over', 'serial-not-in-budget'] as const;
export type BudgetCode = (typeof budgetCodes)[number];

/** Why a budget does not give what was asked of it. */
export type BudgetRefusal = { readonly code: BudgetCode; readonly message: string };

/** Why this device is beyond the budget's time or not among its serial numbers, whatever is left of its count. */
export function beyondBudget(budget: Budget, serial: string, now: number): BudgetRefusal | undefined {
  const { notAfter, serials } = budget;
  if (notAfter !== undefined && Date.parse(notAfter) <= now)
    return { code: 'budget-over', message: `budget: its time was over at ${notAfter}` };
  if (serials !== undefined && !isSerialAmong(serial, serials)) {
    const message = `budget: serial number "${serial}" is not among those that it is for`;
    return { code: 'serial-not-in-budget', message };
  }
  return undefined;
}

export function exhausted(count: number): BudgetRefusal {
  return { code: 'budget-exhausted', message: `budget: all ${count} devices are used up` };
}

/** Who spends: an API token, by its id. */
export type Spender = { readonly id: string; readonly budget?: Budget | undefined };

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
  async admit({ id, budget }: Spender, spendings: readonly Spending[]): Promise<readonly Admitted[]> {
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
  async giveBack({ id }: Spender, admitted: Admitted): Promise<void> {
    if (admitted.ok && admitted.place !== undefined) await this.#counter.giveBack(id, admitted.place);
  }

  used(token: string): Promise<number> {
    return this.#counter.used(token);
  }
}
