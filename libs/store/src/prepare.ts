import { declaredIndexes, keysOf, keysOutside } from './declared-indexes.ts';
import { AGAIN, optimistically } from './optimistic.ts';
import type { RecordTable } from './record.ts';
import type { CollectionSpec, Stored } from './store.ts';
import { StoreError } from './store-error.ts';

const BATCH = 500;

/**
 * Creates what an engine lacks of a collection, and gives documents of an earlier version the keys of new indexes.
 * @throws StoreError `duplicate` if documents violate a new unique index
 */
export async function prepare<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  table: RecordTable,
): Promise<void> {
  const indexes = declaredIndexes(spec);
  const columns = indexes.map(({ column, unique }) => ({ name: column, unique }));
  await table.create(columns);
  for (const { name } of columns) {
    let ids = await table.unkeyed(name, BATCH);
    while (ids.length > 0) {
      await Promise.all(ids.map((id) => rekey(spec, table, id)));
      ids = await table.unkeyed(name, BATCH);
    }
  }
  const violated = await table.index(columns);
  if (violated === undefined) return;
  const index = indexes.find(({ column }) => column === violated.name)?.name ?? violated.name;
  throw new StoreError('duplicate', `${spec.name}: documents violate the unique index ${index}`, { index });
}

async function rekey<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  table: RecordTable,
  id: string,
): Promise<void> {
  await optimistically(`${spec.name} "${id}"`, async () => {
    const record = await table.read(id);
    if (record === undefined) return;
    const keys = record.removed ? keysOutside(spec, id) : keysOf(spec, record.document as T);
    const outcome = await table.replace({ ...record, keys, version: record.version + 1 });
    if (outcome === 'duplicate') {
      throw new StoreError('duplicate', `${spec.name} "${id}": violates a new unique index`);
    }
    return outcome === 'written' ? undefined : AGAIN;
  });
}
