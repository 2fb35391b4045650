import { fillerKey, keyColumn, keyOf } from './index-key.ts';
import type { CollectionSpec, Stored } from './store.ts';

export type DeclaredIndex<I extends string> = {
  readonly name: I;
  readonly fields: readonly string[];
  readonly unique: boolean;
  /** Where its keys lie. */
  readonly column: string;
};

export function declaredIndexes<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
): readonly DeclaredIndex<I>[] {
  return (Object.keys(spec.indexes) as I[]).map((name) => {
    const index = spec.indexes[name];
    return { name, fields: index.fields, unique: index.unique === true, column: keyColumn(index) };
  });
}

/** The keys of a document in all indexes. */
export function keysOf<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  document: T,
): Readonly<Record<string, string>> {
  const names = Object.keys(spec.indexes) as I[];
  return Object.fromEntries(
    names.map((name) => [keyColumn(spec.indexes[name]), keyOf(document, spec.indexes[name])]),
  );
}

/** The keys of a document that no index shall find any more. */
export function keysOutside<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  id: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(declaredIndexes(spec).map(({ column }) => [column, fillerKey(id)]));
}
