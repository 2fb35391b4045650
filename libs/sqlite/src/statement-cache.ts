import type { DatabaseSync, StatementSync } from 'node:sqlite';

const CAPACITY = 256;

/** The prepared statements of a connection, by their SQL; the least recently used goes first. */
export class StatementCache {
  readonly #connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(connection: DatabaseSync) {
    this.#connection = connection;
  }

  prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const statement = this.#connection.prepare(sql);
    if (this.#statements.size >= CAPACITY) {
      const [oldest = sql] = this.#statements.keys();
      this.#statements.delete(oldest);
    }
    this.#statements.set(sql, statement);
    return statement;
  }
}
