import { operation } from '@signet/contracts';
import { z } from 'zod';

/** Answers which process it was. */
export const whoAnswers = operation('testing.who-answers', {
  idempotent: true,
  input: z.null(),
  output: z.number(),
  errors: [],
});
/** What must not be done twice. */
export const addOne = operation('testing.add-one', { input: z.number(), output: z.number(), errors: [] });
