import { z } from 'zod';
import { Account, Fingerprint, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { parseSerialRange } from '../serial-range.ts';
import { PageRequest, pageOf } from './paging.ts';

/** `SN-0001`, or `SN-0001..SN-9999`. */
const serials = z
  .string()
  .min(1)
  .max(260)
  .superRefine((text, context) => {
    try {
      parseSerialRange(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
    }
  })
  .describe('Serial numbers of devices: one, or a range such as `SN-0001..SN-9999`');

/** What a rule blocks before it is onboarded: one bootstrap certificate, serial numbers, or all of a factory CA. */
export const BlockTarget = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('fingerprint'), fingerprint: Fingerprint }),
  z.object({
    kind: z.literal('serials'),
    serials,
  }),
  z.object({ kind: z.literal('factory-ca'), authorityId: z.string().min(1).max(64) }),
]);
export type BlockTarget = z.infer<typeof BlockTarget>;

export const BlockRule = z.object({
  ruleId: z.string(),
  account: Account,
  target: BlockTarget,
  reason: z.string(),
  by: z.string(),
  since: Time,
});
export type BlockRule = z.infer<typeof BlockRule>;

/**
 * Refuses claim and handoff of all that a target means, devices made later among them: for devices that the account
 * owns, and those that it made and nobody owns. A rule of the platform's account holds for everybody's.
 */
export const addBlockRule = operation('bootstrap.add-block-rule', {
  input: z.object({
    account: Account,
    target: BlockTarget,
    reason: z.string().min(1).max(256),
    by: z.string(),
  }),
  output: BlockRule,
  errors: ['too-many-rules', 'unknown-authority'],
});

export const listBlockRules = operation('bootstrap.list-block-rules', {
  idempotent: true,
  input: PageRequest.extend({ account: Account }),
  output: pageOf(BlockRule),
  errors: [],
});

export const removeBlockRule = operation('bootstrap.remove-block-rule', {
  input: z.object({ account: Account, ruleId: z.string(), by: z.string() }),
  output: z.object({}),
  errors: ['unknown-rule'],
});
