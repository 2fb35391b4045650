import { Time } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';

/**
 * How far the CRL of a CA has come. It is advanced by compare-and-set on `number`, after the entries were read: what
 * is read later never lacks what was revoked earlier, so a higher number never covers less.
 */
export const CrlState = z.object({
  /** The CA's id. */
  id: z.string(),
  number: z.number().int().min(1),
  /** SHA-256 over what it lists; the same list needs no new number. */
  content: z.string(),
  entries: z.number().int(),
  thisUpdate: Time,
  nextUpdate: Time,
});
export type CrlState = z.infer<typeof CrlState>;

export const crlStates: CollectionSpec<CrlState, never> = {
  name: 'est-ca.crls',
  schema: CrlState,
  indexes: {},
};
