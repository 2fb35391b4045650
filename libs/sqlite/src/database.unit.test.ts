import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventOf } from '../test/events.ts';
import { temporaryDirectory } from '../test/temporary.ts';
import { appendStatements, EVENT_LOG_DDL, openDatabase } from './index.ts';

const directory = temporaryDirectory();
let files = 0;

async function openTable() {
  files += 1;
  const path = join(directory, `${files}`, 'test.db');
  const database = openDatabase(path);
  await database.write([{ sql: 'CREATE TABLE t (a TEXT UNIQUE)' }]);
  return { database, path };
}

const insert = (a: string) => ({ sql: 'INSERT INTO t (a) VALUES (?)', params: [a] });
const ALL = 'SELECT a FROM t ORDER BY a';

describe('the SQLite file', () => {
  it('makes its directory, and lets nobody else read it', async () => {
    const { database, path } = await openTable();
    await using _ = database;
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
  });

  it('takes back a unit that fails, and only that, out of a group', async () => {
    const { database } = await openTable();
    await using _ = database;
    const results = await Promise.allSettled([
      database.write([insert('a')]),
      database.write([insert('b'), insert('a')]),
      database.write([
        insert('c'),
        { sql: 'UPDATE t SET a = a WHERE a = ?', params: ['x'], expectChanges: 1 },
      ]),
      database.write([insert('d'), { sql: 'INSERT INTO nowhere VALUES (1)' }]),
      database.write([insert('b'), insert('e')]),
    ]);
    expect(results.map((result) => (result.status === 'rejected' ? result.reason.code : 'written'))).toEqual([
      'written',
      'constraint',
      'unexpected-changes',
      'invalid-statement',
      'written',
    ]);
    expect(database.read(ALL)).toEqual([{ a: 'a' }, { a: 'b' }, { a: 'e' }]);
    expect(database.failure()).toBeUndefined();
  });

  it('commits what is queued as groups, in the order of the calls, and tells listeners once for each', async () => {
    const { database } = await openTable();
    await using _ = database;
    let commits = 0;
    const stop = database.onCommit(() => {
      commits += 1;
    });
    const results = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => database.write([insert(`${i}`)])),
    );
    expect(results.map(([result]) => result?.lastInsertRowid)).toEqual(
      Array.from({ length: 1000 }, (_, i) => i + 1),
    );
    expect(commits).toBeLessThanOrEqual(3);
    stop();
    const before = commits;
    await database.write([insert('x')]);
    expect(commits).toBe(before);
  });

  it('commits what was queued before it closes, and nothing after', async () => {
    const { database, path } = await openTable();
    const writes = [database.write([insert('a')]), database.write([insert('b')])];
    await Promise.all([database[Symbol.asyncDispose](), ...writes]);
    await expect(database.write([insert('c')])).rejects.toMatchObject({ code: 'closed' });
    expect(() => database.read(ALL)).toThrow(expect.objectContaining({ code: 'closed' }));
    await using again = openDatabase(path);
    expect(again.read(ALL)).toEqual([{ a: 'a' }, { a: 'b' }]);
  });

  it('says that it fails while another process holds the file, and recovers', {
    timeout: 30_000,
  }, async () => {
    const { database, path } = await openTable();
    await using _ = database;
    const { DatabaseSync } = await import('node:sqlite');
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    await expect(database.write([insert('a')])).rejects.toMatchObject({ code: 'unavailable' });
    expect(database.failure()).toMatch(/locked/);
    other.exec('ROLLBACK');
    other.close();
    await database.write([insert('a')]);
    expect(database.failure()).toBeUndefined();
  });
});

describe('the event log', () => {
  it('keeps events in their order, each once', async () => {
    const { database } = await openTable();
    await using _ = database;
    await database.write(EVENT_LOG_DDL);
    const [a, b] = [eventOf('d1'), eventOf('d2')] as const;
    await database.write(appendStatements([a, b]));
    await database.write(appendStatements([b, a]));
    const rows = database.read(
      'SELECT position, id, type, account, subject, event FROM event_log ORDER BY position',
    );
    expect(rows.map(({ position, id }) => [position, id])).toEqual([
      [1, a.id],
      [2, b.id],
    ]);
    expect(rows[0]).toMatchObject({ type: 'DENYLIST_CHANGED', account: 'acme', event: JSON.stringify(a) });
    expect(rows[0]?.subject).toMatch(/^signet\.event\.acme\.p\d+\.DENYLIST_CHANGED\.d1$/);
  });
});
