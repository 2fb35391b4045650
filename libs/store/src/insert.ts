import type { SignetEvent } from '@signet/contracts';
import type { Change, Collection, Stored } from './store.ts';
import { StoreError } from './store-error.ts';

/** Whether a write failed because its id (`id`), or the key of the unique index of this name, is taken; without `index`: any. */
export function isDuplicate(error: unknown, index?: string): error is StoreError {
  if (!(error instanceof StoreError) || error.code !== 'duplicate') return false;
  return index === undefined || error.index === index;
}

/**
 * Inserts a document unless its id is taken.
 * @returns whether it was inserted
 * @throws StoreError `duplicate` where another unique index is violated
 */
export async function insertIfAbsent<T extends Stored>(
  collection: Pick<Collection<T>, 'insert'>,
  document: T,
  events: readonly SignetEvent[] = [],
): Promise<boolean> {
  try {
    await collection.insert(document, events);
    return true;
  } catch (error) {
    if (isDuplicate(error, 'id')) return false;
    throw error;
  }
}

/**
 * Inserts a document, or gives the one that has its id: of several that insert the same id at once, all get the first.
 * @returns the document as it is stored, and whether it is this one
 * @throws StoreError `duplicate` where another unique index is violated
 */
export async function insertOrGet<T extends Stored>(
  collection: Pick<Collection<T>, 'get' | 'insert'>,
  document: T,
  events: readonly SignetEvent[] = [],
): Promise<{ readonly document: T; readonly inserted: boolean }> {
  for (;;) {
    if (await insertIfAbsent(collection, document, events)) return { document, inserted: true };
    const present = await collection.get(document.id);
    // removed in between: the id is free
    if (present !== undefined) return { document: present, inserted: false };
  }
}

/**
 * Writes a document whether it is there or not. `change` gets the present one or undefined, decides on it within the
 * write, and may return undefined for "leave it as it is". It must be pure: it can be called several times.
 * @returns the document as it stands afterwards; undefined where there is none, and none was made
 * @throws as `insert` and `update`, but neither `not-found` nor `duplicate` of the id
 */
export async function put<T extends Stored>(
  collection: Pick<Collection<T>, 'insert' | 'update'>,
  id: string,
  change: (current: T | undefined) => Change<T> | undefined,
): Promise<T | undefined> {
  for (;;) {
    try {
      return await collection.update(id, change);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'not-found') throw error;
    }
    const made = change(undefined);
    if (made === undefined) return undefined;
    if (await insertIfAbsent(collection, made.document, made.events)) return made.document;
  }
}
