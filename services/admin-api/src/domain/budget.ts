import { isSerialAmong, parseSerialRange, Time } from '@signet/contracts';
import { z } from 'zod';

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
