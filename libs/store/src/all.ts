import type { Collection, Query, Stored } from './store.ts';

/** Documents that are read at a time. */
const PAGE = 500;

/**
 * Every document that a query finds, in its order, page by page: `for await (const device of all(devices, { index: …
 * }))`. In memory is one page (`limit` documents, default 500). What is written meanwhile may be found or not.
 */
export async function* all<T extends Stored, I extends string>(
  collection: Pick<Collection<T, I>, 'find'>,
  query: Omit<Query<T, I>, 'cursor'> = {},
): AsyncGenerator<T, void, undefined> {
  let cursor: string | undefined;
  do {
    const page = await collection.find({
      limit: PAGE,
      ...query,
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}
