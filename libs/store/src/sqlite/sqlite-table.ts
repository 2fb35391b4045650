import type { SignetEvent } from '@signet/contracts';
import type { SqliteDatabase } from '@signet/sqlite';
import { appendStatements, type Row, SqliteError, type SqlValue, type Statement } from '@signet/sqlite';
import { FILLER } from '../index-key.ts';
import type { DocumentRecord, KeyColumn, KeyRange, RecordTable, WriteOutcome } from '../record.ts';
import type { Stored } from '../store.ts';
import { storeErrorOf } from './store-error-of.ts';

const CHANGING_COLUMNS = ['version', 'removed', 'sequence', 'document', 'applied', 'outbox'];
const FIXED_COLUMNS = ['id', ...CHANGING_COLUMNS];

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Whether a key is one that queries ask for. Index and query say it in the same words, so that SQLite sees that the one
 * serves the other; and not as a comparison, which it would take for the bound of the search in place of the query's.
 */
function isQueried(key: string): string {
  return `substr(${key}, 1, 1) <> '${FILLER}'`;
}

/** A key column that this version does not know is left without a key. */
function keysIn(columns: readonly string[], { keys }: DocumentRecord): SqlValue[] {
  return columns.map((column) => keys[column] ?? null);
}

/** The statements of a table whose columns are known. */
type TableSql = {
  readonly read: string;
  readonly get: string;
  readonly insert: string;
};

/**
 * A collection as a table: JSON documents, and a text column for each index. Limits stand in the text of a query: SQLite
 * plans by them, and prepares a statement anew for each run whose limit is a parameter.
 */
export class SqliteTable implements RecordTable {
  readonly #database: SqliteDatabase;
  readonly #name: string;
  readonly #table: string;
  readonly #eventLog: boolean;
  #keyColumns: readonly string[] = [];
  #sql: TableSql;

  /** With `eventLog`, events go into the log of the same transaction and never into an outbox. */
  constructor(database: SqliteDatabase, name: string, options: { readonly eventLog: boolean }) {
    this.#database = database;
    this.#name = name;
    this.#table = quoted(name);
    this.#eventLog = options.eventLog;
    this.#sql = this.#statements();
  }

  async create(columns: readonly KeyColumn[]): Promise<void> {
    await this.#write([
      {
        sql: `CREATE TABLE IF NOT EXISTS ${this.#table} (
          id TEXT NOT NULL PRIMARY KEY,
          version INTEGER NOT NULL,
          removed INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          document TEXT NOT NULL,
          applied TEXT NOT NULL,
          outbox TEXT NOT NULL
        )`,
      },
      {
        sql: `CREATE INDEX IF NOT EXISTS ${quoted(`${this.#name}/outbox`)} ON ${this.#table} (id) WHERE outbox <> '[]'`,
      },
    ]);
    for (const { name } of columns) {
      if (this.#presentKeyColumns().includes(name)) continue;
      const added = await this.#outcome([
        { sql: `ALTER TABLE ${this.#table} ADD COLUMN ${quoted(name)} TEXT` },
      ]);
      if (added instanceof SqliteError && !this.#presentKeyColumns().includes(name))
        throw storeErrorOf(added);
    }
    this.#keyColumns = this.#presentKeyColumns();
    this.#sql = this.#statements();
  }

  /** Keys outside of every query are left out of an index: a document costs the indexes that it is in, no others. */
  async index(columns: readonly KeyColumn[]): Promise<KeyColumn | undefined> {
    for (const column of columns) {
      const name = quoted(`${this.#name}/${column.name}`);
      const created = await this.#outcome([
        {
          sql: `CREATE UNIQUE INDEX IF NOT EXISTS ${name} ON ${this.#table} (${quoted(column.name)})
            WHERE ${quoted(column.name)} IS NULL OR ${isQueried(quoted(column.name))}`,
        },
      ]);
      if (!(created instanceof SqliteError)) continue;
      if (created.code === 'constraint') return column;
      throw storeErrorOf(created);
    }
    return undefined;
  }

  async unkeyed(column: string, limit: number): Promise<readonly string[]> {
    return this.#ids(`SELECT id FROM ${this.#table} WHERE ${quoted(column)} IS NULL LIMIT ${limit}`, []);
  }

  async read(id: string): Promise<DocumentRecord | undefined> {
    const [row] = this.#read(this.#sql.read, [id]);
    if (row === undefined) return undefined;
    return {
      id,
      version: Number(row.version),
      removed: row.removed === 1,
      document: JSON.parse(String(row.document)) as Stored,
      keys: Object.fromEntries(
        this.#keyColumns.flatMap((column) => (row[column] === null ? [] : [[column, String(row[column])]])),
      ),
      sequence: Number(row.sequence),
      applied: JSON.parse(String(row.applied)) as string[],
      outbox: JSON.parse(String(row.outbox)) as SignetEvent[],
    };
  }

  async get(id: string): Promise<Stored | undefined> {
    const [row] = this.#read(this.#sql.get, [id]);
    return row === undefined ? undefined : (JSON.parse(String(row.document)) as Stored);
  }

  async insert(record: DocumentRecord): Promise<WriteOutcome> {
    const params = [record.id, ...this.#contents(record), ...keysIn(this.#keyColumns, record)];
    return this.#change({ sql: this.#sql.insert, params }, record);
  }

  /** A column that is written costs its index, whether its value is new or not: so only keys that change are. */
  async replace(record: DocumentRecord, before?: DocumentRecord): Promise<WriteOutcome> {
    const columns = this.#keyColumns.filter(
      (key) => before === undefined || before.keys[key] !== record.keys[key],
    );
    const set = [...CHANGING_COLUMNS, ...columns.map(quoted)].map((column) => `${column} = ?`).join(', ');
    const sql = `UPDATE ${this.#table} SET ${set} WHERE id = ? AND version = ?`;
    const params = [...this.#contents(record), ...keysIn(columns, record), record.id, record.version - 1];
    return this.#change({ sql, params, expectChanges: 1 }, record);
  }

  async erase(id: string, version: number): Promise<WriteOutcome> {
    const sql = `DELETE FROM ${this.#table} WHERE id = ? AND version = ?`;
    return this.#change({ sql, params: [id, version], expectChanges: 1 });
  }

  async scan(
    range: KeyRange,
    { descending, limit }: { readonly descending: boolean; readonly limit: number },
  ): Promise<readonly { readonly key: string; readonly document: Stored }[]> {
    const key = quoted(range.column ?? 'id');
    const where = this.#where(range);
    const rows = this.#read(
      `SELECT ${key} AS key, document FROM ${this.#table} WHERE ${where.sql}
       ORDER BY ${key} ${descending ? 'DESC' : 'ASC'} LIMIT ${limit}`,
      where.params,
    );
    return rows.map((row) => ({
      key: String(row.key),
      document: JSON.parse(String(row.document)) as Stored,
    }));
  }

  async count(range: KeyRange): Promise<number> {
    const where = this.#where(range);
    const [row] = this.#read(`SELECT count(*) AS n FROM ${this.#table} WHERE ${where.sql}`, where.params);
    return Number(row?.n ?? 0);
  }

  async pending(after: string, limit: number): Promise<readonly string[]> {
    return this.#ids(
      `SELECT id FROM ${this.#table} WHERE outbox <> '[]' AND id > ? ORDER BY id LIMIT ${limit}`,
      [after],
    );
  }

  #statements(): TableSql {
    const columns = [...FIXED_COLUMNS, ...this.#keyColumns.map(quoted)];
    const table = this.#table;
    return {
      read: `SELECT ${columns.join(', ')} FROM ${table} WHERE id = ?`,
      get: `SELECT document FROM ${table} WHERE id = ? AND removed = 0`,
      insert: `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    };
  }

  #where({ column, from, to }: KeyRange): { sql: string; params: SqlValue[] } {
    const key = quoted(column ?? 'id');
    const sql = column === undefined ? ['removed = 0'] : ['removed = 0', isQueried(key)];
    const params: SqlValue[] = [];
    if (from !== undefined) {
      sql.push(`${key} ${from.exclusive ? '>' : '>='} ?`);
      params.push(from.key);
    }
    if (to !== undefined) {
      sql.push(`${key} < ?`);
      params.push(to);
    }
    return { sql: sql.join(' AND '), params };
  }

  /** In the order of the changing columns. */
  #contents(record: DocumentRecord): SqlValue[] {
    return [
      record.version,
      record.removed ? 1 : 0,
      record.sequence,
      JSON.stringify(record.document),
      JSON.stringify(record.applied),
      JSON.stringify(this.#eventLog ? [] : record.outbox),
    ];
  }

  async #change(statement: Statement, record?: DocumentRecord): Promise<WriteOutcome> {
    const log = this.#eventLog && record !== undefined ? appendStatements(record.outbox) : [];
    const outcome = await this.#outcome([statement, ...log]);
    if (!(outcome instanceof SqliteError)) return 'written';
    if (outcome.code === 'unexpected-changes') return 'changed';
    if (outcome.code === 'constraint') return 'duplicate';
    throw storeErrorOf(outcome);
  }

  async #outcome(unit: readonly Statement[]): Promise<SqliteError | undefined> {
    try {
      await this.#database.write(unit);
      return undefined;
    } catch (error) {
      if (error instanceof SqliteError) return error;
      throw error;
    }
  }

  async #write(unit: readonly Statement[]): Promise<void> {
    const outcome = await this.#outcome(unit);
    if (outcome instanceof SqliteError) throw storeErrorOf(outcome);
  }

  #presentKeyColumns(): readonly string[] {
    return this.#read('SELECT name FROM pragma_table_info(?)', [this.#name])
      .map((row) => String(row.name))
      .filter((name) => !FIXED_COLUMNS.includes(name));
  }

  #ids(sql: string, params: readonly SqlValue[]): readonly string[] {
    return this.#read(sql, params).map((row) => String(row.id));
  }

  #read(sql: string, params: readonly SqlValue[]): Row[] {
    try {
      return this.#database.read(sql, params);
    } catch (error) {
      throw error instanceof SqliteError ? storeErrorOf(error) : error;
    }
  }
}
