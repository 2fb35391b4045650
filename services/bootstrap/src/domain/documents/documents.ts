import { type Collection, isDuplicate, type Page, type Query, type Stored } from '@signet/store';

/** Part of a list, as an operator asks for it. */
export type PageRequest = { readonly limit: number; readonly cursor?: string | undefined };

export async function readPage<T extends Stored, I extends string>(
  collection: Pick<Collection<T, I>, 'find'>,
  query: Pick<Query<T, I>, 'index' | 'equals'>,
  { limit, cursor }: PageRequest,
): Promise<Page<T>> {
  return collection.find({ ...query, limit, ...(cursor === undefined ? {} : { cursor }) });
}

/** A page of documents, each as its view. */
export function viewsOf<T, V>({ items, next }: Page<T>, viewOf: (document: T) => V) {
  return { items: items.map(viewOf), ...(next === undefined ? {} : { next }) };
}

/** Inserts a document, or writes it over the one that has its id. */
export async function put<T extends Stored, I extends string>(
  collection: Pick<Collection<T, I>, 'insert' | 'update'>,
  document: T,
): Promise<void> {
  try {
    await collection.insert(document);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    await collection.update(document.id, () => ({ document }));
  }
}
