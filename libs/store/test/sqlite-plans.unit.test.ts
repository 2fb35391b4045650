import { join } from 'node:path';
import type { SqlValue } from '@signet/sqlite';
import { openDatabase } from '@signet/sqlite';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Collection, Query } from '../src/index.ts';
import { openSqliteStore } from '../src/sqlite/index.ts';
import { temporaryDirectory } from './temporary.ts';
import { type Thing, things } from './things.ts';

type Index = keyof typeof things.indexes;
type Read = { readonly sql: string; readonly params: readonly SqlValue[] };

const database = openDatabase(join(temporaryDirectory(), 'plans.db'));
/** What the store reads, while it is listened to. */
let heard: Read[] = [];
const listening = {
  write: database.write.bind(database),
  onCommit: database.onCommit.bind(database),
  failure: database.failure.bind(database),
  read: ((sql: string, params: readonly SqlValue[] = []) => {
    heard.push({ sql, params });
    return database.read(sql, params);
  }) as typeof database.read,
  [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
};

let collection: Collection<Thing, Index>;
beforeAll(async () => {
  const store = await openSqliteStore({ database: listening, ownsDatabase: true, publish: async () => {} });
  collection = await store.collection(things);
  for (let n = 0; n < 50; n++)
    await collection.insert({ id: `t-${n}`, account: 'acme', label: `l-${n}`, size: n, armed: n % 2 === 0 });
  return () => store[Symbol.asyncDispose]();
});

/** How SQLite goes about what `ask` reads, one line a step. */
async function planOf(ask: () => Promise<unknown>): Promise<string> {
  heard = [];
  await ask();
  const steps = heard.flatMap(({ sql, params }) =>
    database.read<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, params).map(({ detail }) => detail),
  );
  expect(steps.length).toBeGreaterThan(0);
  return steps.join('\n');
}

const fieldsOf = (index: Index) => things.indexes[index].fields.join('_');

const queries: [string, Index, Query<Thing, Index>][] = [
  ['equality of the first field', 'place', { index: 'place', equals: { account: 'acme' } }],
  ['equality of every field', 'place', { index: 'place', equals: { account: 'acme', label: 'l-7' } }],
  ['a prefix', 'label', { index: 'label', prefix: 'l-1' }],
  ['a range', 'size', { index: 'size', equals: { account: 'acme' }, from: 10, to: 20 }],
  ['an open range, descending', 'size', { index: 'size', equals: { account: 'acme' }, descending: true }],
  ['three fields', 'armed', { index: 'armed', equals: { armed: true, account: 'acme' }, prefix: 'l' }],
  ['all of an index', 'label', { index: 'label' }],
];

describe('SQLite answers a query from its index, though the index leaves documents out', () => {
  it.each(queries)('%s: a page, and the page after it', async (_, index, query) => {
    const searches = new RegExp(`USING INDEX .*${fieldsOf(index)}\\b`);
    const first = await collection.find({ ...query, limit: 2 });
    for (const page of [
      query,
      { ...query, limit: 2, ...(first.next === undefined ? {} : { cursor: first.next }) },
    ]) {
      const plan = await planOf(() => collection.find(page));
      expect(plan).toMatch(searches);
      expect(plan).not.toMatch(/USE TEMP B-TREE/);
      if (query.equals !== undefined || query.prefix !== undefined) expect(plan).toMatch(/^SEARCH/m);
    }
  });

  it.each(queries)('%s: a count', async (_, index, query) => {
    const plan = await planOf(() => collection.count(query));
    expect(plan).toMatch(new RegExp(`USING (COVERING )?INDEX .*${fieldsOf(index)}`));
    if (query.equals !== undefined || query.prefix !== undefined) expect(plan).toMatch(/^SEARCH/m);
  });

  it('a document by its id is one search', async () => {
    expect(await planOf(() => collection.get('t-1'))).toMatch(/^SEARCH .* \(id=\?\)$/);
  });
});
