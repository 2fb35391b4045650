import { fillerKey, keyColumn, keyOf } from './index-key.ts';
import type { CollectionSpec, Stored } from './store.ts';

export type DeclaredIndex<I extends string> = {
  readonly name: I;
  readonly fields: readonly string[];
  readonly unique: boolean;
  /** Where its keys lie. */
  readonly column: string;
};

const known = new WeakMap<object, readonly DeclaredIndex<string>[]>();

/** The indexes of a collection, worked out once. */
export function declaredIndexes<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
): readonly DeclaredIndex<I>[] {
  const before = known.get(spec.indexes) as readonly DeclaredIndex<I>[] | undefined;
  if (before !== undefined) return before;
  const declared = (Object.keys(spec.indexes) as I[]).map((name) => {
    const index = spec.indexes[name];
    return { name, fields: index.fields, unique: index.unique === true, column: keyColumn(index) };
  });
  known.set(spec.indexes, declared);
  return declared;
}

/** The keys of a document in all indexes. */
export function keysOf<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  document: T,
): Readonly<Record<string, string>> {
  const keys: Record<string, string> = {};
  for (const { name, column } of declaredIndexes(spec)) keys[column] = keyOf(document, spec.indexes[name]);
  return keys;
}

/** The keys of a document that no index shall find any more. */
export function keysOutside<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  id: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(declaredIndexes(spec).map(({ column }) => [column, fillerKey(id)]));
}
