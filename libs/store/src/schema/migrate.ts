import { isDeepStrictEqual } from 'node:util';
import { keysOf } from '../declared-indexes.ts';
import type { Log } from '../log.ts';
import { AGAIN, optimistically } from '../optimistic.ts';
import type { RecordTable } from '../record.ts';
import type { CollectionSpec, Migration, Stored } from '../store.ts';
import { StoreError } from '../store-error.ts';
import { validate } from '../validate.ts';
import { type SchemaRecords, stepsAhead } from './steps.ts';

const BATCH = 500;

/**
 * Brings documents of an earlier release to what this one writes: each goes through all steps ahead in one write. The
 * steps are recorded once every document is through: whoever is killed before that, or runs beside another process, goes
 * over all of them again, which changes nothing in those that are done.
 * @throws StoreError `newer-schema`, `invalid-document` where the steps make what the schema refuses
 */
export async function migrate<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  table: RecordTable,
  { schema, log }: { readonly schema: SchemaRecords; readonly log: Log },
): Promise<void> {
  const migrations = spec.migrations ?? [];
  const names = migrations.map(({ name }) => name);
  const ahead = stepsAhead(spec.name, names, await schema.done(spec.name));
  if (ahead.length === 0) return;
  const documents = await migrateAll(spec, table, migrations.slice(-ahead.length));
  for (const { number, name } of ahead) await schema.record(spec.name, number, name);
  const steps = ahead.map(({ name }) => name);
  if (documents > 0) log.info?.({ collection: spec.name, steps, documents }, 'migrated');
}

/** @returns how many documents were changed */
async function migrateAll<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  table: RecordTable,
  steps: readonly Migration[],
): Promise<number> {
  let changed = 0;
  let after = '';
  for (;;) {
    const range = after === '' ? {} : { from: { key: after, exclusive: true } };
    const page = await table.scan({ column: undefined, ...range }, { descending: false, limit: BATCH });
    const results = await Promise.all(page.map(({ key }) => migrateOne(spec, table, steps, key)));
    changed += results.filter((isChanged) => isChanged).length;
    const last = page.at(-1);
    if (last === undefined || page.length < BATCH) return changed;
    after = last.key;
  }
}

/** @returns whether the document was changed */
async function migrateOne<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  table: RecordTable,
  steps: readonly Migration[],
  id: string,
): Promise<boolean> {
  const what = `${spec.name} "${id}": migration`;
  return await optimistically(what, async () => {
    const record = await table.read(id);
    if (record === undefined || record.removed) return false;
    const made = through(steps, record.document);
    if (isDeepStrictEqual(made, record.document)) return false;
    if (made.id !== id || !isDeepStrictEqual(through(steps, made), made))
      throw new StoreError(
        'invalid-document',
        `${what}: must keep the id, and leave alone what it made (${steps.map(({ name }) => name).join(', ')})`,
      );
    const document = validate(spec, made as T);
    const keys = keysOf(spec, document);
    const outcome = await table.replace({ ...record, document, keys, version: record.version + 1 });
    if (outcome === 'duplicate') throw new StoreError('duplicate', `${what}: violates a unique index`);
    return outcome === 'written' ? true : AGAIN;
  });
}

function through(steps: readonly Migration[], document: Stored): Stored {
  let made = document;
  for (const step of steps) made = step.document({ ...made }) ?? made;
  return made;
}
