import { declaredIndexes, keysOf, keysOutside } from './declared-indexes.ts';
import type { Log } from './log.ts';
import { AGAIN, optimistically } from './optimistic.ts';
import type { RecordTable } from './record.ts';
import { migrate } from './schema/migrate.ts';
import { type SchemaRecords, stepsAhead } from './schema/steps.ts';
import type { CollectionSpec, Stored } from './store.ts';
import { StoreError } from './store-error.ts';

const BATCH = 500;

/** The layout of the tables themselves: how an engine keeps a document, its keys and its outbox. No step so far. */
const LAYOUT = 'store';
const LAYOUT_STEPS: readonly string[] = [];

/**
 * Creates what an engine lacks of a collection, brings documents of an earlier release to what this one writes, and gives
 * them the keys of new indexes. Data of a later release is left untouched.
 * @throws StoreError `newer-schema`; `duplicate` if documents violate a new unique index
 */
export async function prepare<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  table: RecordTable,
  context: { readonly schema: SchemaRecords; readonly log: Log },
): Promise<void> {
  const { schema } = context;
  stepsAhead(LAYOUT, LAYOUT_STEPS, await schema.done(LAYOUT));
  const steps = (spec.migrations ?? []).map(({ name }) => name);
  stepsAhead(spec.name, steps, await schema.done(spec.name));
  const indexes = declaredIndexes(spec);
  const columns = indexes.map(({ column, unique }) => ({ name: column, unique }));
  await table.create(columns);
  await migrate(spec, table, context);
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
