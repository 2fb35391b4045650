import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../test/temporary.ts';
import { applyTableSteps, openDatabase, type TableStep } from './index.ts';

const directory = temporaryDirectory();
const base = [{ sql: 'CREATE TABLE IF NOT EXISTS lane (name TEXT)' }];
const addPart: TableStep = {
  name: 'part',
  statements: [{ sql: 'ALTER TABLE lane ADD COLUMN part INTEGER' }],
};

it('a table of an earlier release gets its steps once, whoever opens the file at the same time', async () => {
  const path = join(directory, 'bus.db');
  const databases = [openDatabase(path), openDatabase(path), openDatabase(path)];
  await using stack = new AsyncDisposableStack();
  for (const database of databases) stack.use(database);
  const [first] = databases;
  if (first === undefined) expect.unreachable();
  await applyTableSteps(first, 'bus', { base, steps: [] });
  await Promise.all(
    databases.map((database) => applyTableSteps(database, 'bus', { base, steps: [addPart] })),
  );
  await first.write([{ sql: "INSERT INTO lane (name, part) VALUES ('a', 1)" }]);
  expect(first.read('SELECT name, part FROM lane')).toEqual([{ name: 'a', part: 1 }]);
  await expect(applyTableSteps(first, 'bus', { base, steps: [] })).rejects.toMatchObject({
    code: 'newer-schema',
  });
});

it('a step that fails leaves nothing behind, and is not taken for done', async () => {
  await using database = openDatabase(join(directory, 'failing.db'));
  const broken: TableStep = { name: 'broken', statements: [...addPart.statements, { sql: 'NO SQL' }] };
  await expect(applyTableSteps(database, 'bus', { base, steps: [broken] })).rejects.toMatchObject({
    code: 'invalid-statement',
  });
  const mended: TableStep = { ...addPart, name: 'broken' };
  await applyTableSteps(database, 'bus', { base, steps: [mended] });
  expect(database.read('SELECT part FROM lane')).toEqual([]);
});
