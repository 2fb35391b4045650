import {
  type Change,
  type Collection,
  insertIfAbsent,
  type Query,
  type Stored,
  StoreError,
  type UpdateOptions,
} from '@signet/store';

/** One page of what a query finds, each document as `view` shows it. */
export async function pageOf<T extends Stored, I extends string, V>(
  collection: Pick<Collection<T, I>, 'find'>,
  { cursor, ...query }: Omit<Query<T, I>, 'cursor'> & { readonly cursor?: string | undefined },
  view: (document: T) => V | Promise<V>,
): Promise<{ items: Awaited<V>[]; next?: string }> {
  const { items, next } = await collection.find({ ...query, ...(cursor === undefined ? {} : { cursor }) });
  return { items: await Promise.all(items.map(view)), ...(next === undefined ? {} : { next }) };
}

/** Updates a document that is made, as `empty`, when there is something to write in it for the first time. */
export async function upsert<T extends Stored>(
  collection: Pick<Collection<T>, 'get' | 'insert' | 'update'>,
  empty: T,
  step: (current: T) => Change<T> | undefined,
  options: UpdateOptions = {},
): Promise<T> {
  if ((await collection.get(empty.id)) === undefined) {
    if (step(empty) === undefined) return empty;
    await insertIfAbsent(collection, empty);
  }
  return collection.update(empty.id, step, options);
}

/** Waits for an update of a document that may not exist: then nothing is done. */
export async function ifPresent(update: Promise<unknown>): Promise<void> {
  await update.catch((error: unknown) => {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
  });
}

export function iso(time: number): string {
  return new Date(time).toISOString();
}
