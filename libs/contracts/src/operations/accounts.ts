import { z } from 'zod';
import { Account } from '../identifiers.ts';
import { operation } from '../operation.ts';

/**
 * Whether there is an account of this name, for services that have no copy of all accounts: what a typo names is
 * `unknown`. A name is never given twice.
 */
export const findAccount = operation('admin-api.find-account', {
  idempotent: true,
  input: z.object({ account: Account }),
  output: z.object({ state: z.enum(['active', 'suspended', 'deleted', 'unknown']) }),
  errors: [],
});
