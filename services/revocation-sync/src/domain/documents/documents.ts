import { type Collection, type Query, type Stored, StoreError } from '@signet/store';

/** Where use cases log; a pino logger fits. */
export type Log = {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
};

/** Every document that a query finds, page after page. */
export async function* allOf<T extends Stored, I extends string>(
  collection: Pick<Collection<T, I>, 'find'>,
  query: Query<T, I>,
): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const page = await collection.find({
      limit: 1000,
      ...query,
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}

/** Inserts a document, unless there is one with its id. @returns whether it was inserted */
export async function insertOnce<T extends Stored>(
  collection: Pick<Collection<T>, 'insert'>,
  document: T,
): Promise<boolean> {
  try {
    await collection.insert(document);
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'duplicate') return false;
    throw error;
  }
}
