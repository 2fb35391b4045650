import type { Collection, Query, Stored } from '@signet/store';

/** Every document that a query finds, page after page. */
export async function* allOf<T extends Stored, I extends string>(
  collection: Pick<Collection<T, I>, 'find'>,
  query: Query<T, I>,
): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const page = await collection.find({
      limit: 500,
      ...query,
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}
