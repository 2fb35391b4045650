import type { z } from 'zod';
import type { CollectionSpec, Index, Migration, Stored } from './store.ts';

/**
 * Declares a collection; the type of its documents is that of the schema, and its indexes are checked against it:
 *
 *     export const devices = defineCollection({
 *       name: 'bootstrap.devices',
 *       schema: Device,
 *       indexes: { account: { fields: ['account', 'id'] } },
 *     });
 */
export function defineCollection<
  S extends z.ZodType<Stored>,
  const I extends Readonly<Record<string, Index<z.output<S>>>>,
>(spec: {
  readonly name: string;
  readonly schema: S;
  readonly indexes: I;
  readonly migrations?: readonly Migration[];
}): CollectionSpec<z.output<S>, keyof I & string> {
  return spec as unknown as CollectionSpec<z.output<S>, keyof I & string>;
}
