import { type Change, type Collection, type Stored, StoreError, type UpdateOptions } from '@signet/store';

/** Inserts a document, unless there is one with its id. @returns whether it was inserted */
export async function insertOnce<T extends Stored>(
  collection: Pick<Collection<T>, 'insert'>,
  document: T,
  events: Change<T>['events'] = [],
): Promise<boolean> {
  try {
    await collection.insert(document, events);
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'duplicate') return false;
    throw error;
  }
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
    await insertOnce(collection, empty);
  }
  return collection.update(empty.id, step, options);
}
