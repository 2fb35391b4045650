import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openDatabase } from '@signet/sqlite';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openSqliteStore } from '../src/sqlite/index.ts';
import { temporaryDirectory } from './temporary.ts';
import { things } from './things.ts';

const directory = temporaryDirectory();

it('a file that another process keeps locked fails writes as unavailable, is read on, and is ready again by itself', async () => {
  const path = join(directory, 'locked.db');
  await using database = openDatabase(path);
  await using store = await openSqliteStore({ database, publish: async () => {} });
  const collection = await store.collection(things);
  await collection.insert({ id: '1', label: 'x' });
  const other = new DatabaseSync(path);
  onTestFinished(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  const outcomes = await Promise.allSettled([
    collection.insert({ id: '2' }),
    collection.update('1', (thing) => ({ document: { ...thing, label: 'y' } })),
  ]);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'unavailable' } });
  expect(store.failure()).toMatch(/locked/);
  expect(await collection.get('1')).toMatchObject({ label: 'x' });
  other.exec('ROLLBACK');
  // nobody writes: a service that is not ready gets nothing to write
  await vi.waitFor(() => expect(store.failure()).toBeUndefined(), { timeout: 20_000 });
  await collection.insert({ id: '2' });
}, 60_000);
