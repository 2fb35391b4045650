import type { SqliteDatabase, Statement } from '@signet/sqlite';
import type { ConsumerPlan } from '../consumer-plan.ts';
import type { DeadRecord } from '../dead-record.ts';
import type { LogWriter } from './log-writer.ts';

/** An event of the log, or one that is to be tried again. */
export type LogEntry = { readonly position: number; readonly event: string };
export type Retry = {
  readonly id: number;
  readonly position: number | null;
  readonly event: string;
  readonly attempt: number;
  readonly due: number;
};

type Wanted = Pick<ConsumerPlan, 'types' | 'account'>;

/** Rows that one look into the log reads at most. */
const CHUNK = 256;

/** What is stored of one consumer in one partition, or in all of them (`part` -1). */
export class PartitionState {
  readonly durable: string;
  readonly part: number;
  readonly #database: SqliteDatabase;
  readonly #writer: LogWriter;

  constructor(database: SqliteDatabase, writer: LogWriter, durable: string, part: number) {
    this.#database = database;
    this.#writer = writer;
    this.durable = durable;
    this.part = part;
  }

  /** The position up to which all is settled or noted, and how the last starts went. */
  async open(since?: string): Promise<{ position: number; suspect: number; starts: number }> {
    await this.#write(
      `INSERT INTO bus_lane (durable, part, position)
        SELECT ?, ?, COALESCE((SELECT position FROM event_log WHERE time < ? ORDER BY position DESC LIMIT 1), 0)
        WHERE true ON CONFLICT DO NOTHING`,
      [since ?? ''],
    );
    const [row] = this.#database.read<{ position: number; suspect: number; starts: number }>(
      'SELECT position, suspect, starts FROM bus_lane WHERE durable = ? AND part = ?',
      [this.durable, this.part],
    );
    return row ?? { position: 0, suspect: 0, starts: 0 };
  }

  retries(): Retry[] {
    return this.#database.read<Retry>(
      'SELECT id, position, event, attempt, due FROM bus_retry WHERE durable = ? AND part = ? ORDER BY id',
      [this.durable, this.part],
    );
  }

  /** The position of the latest event of the log, 0 where it is empty. */
  logEnd(): number {
    const [row] = this.#database.read<{ end: number | null }>('SELECT MAX(position) AS end FROM event_log');
    return row?.end ?? 0;
  }

  /**
   * The next events of these types after `position` and up to `end`, without those that are noted as retries or dead
   * letters. None are left where there are none.
   */
  entries({ types, account }: Wanted, position: number, end: number): LogEntry[] {
    const [ofPart, part] = this.part < 0 ? ['', []] : ['part = ? AND', [this.part]];
    const [ofAccount, accounts] = account === undefined ? ['', []] : ['account = ? AND', [account]];
    return this.#database.read<LogEntry>(
      `SELECT position, event FROM event_log AS log WHERE ${ofPart} ${ofAccount} position > ? AND position <= ?
        AND type IN (${types.map(() => '?').join(', ')})
        AND NOT EXISTS (SELECT 1 FROM bus_retry WHERE durable = ? AND bus_retry.position = log.position)
        AND NOT EXISTS (SELECT 1 FROM bus_dead WHERE durable = ? AND bus_dead.position = log.position)
        ORDER BY position LIMIT ${CHUNK}`,
      [...part, ...accounts, position, end, ...types, this.durable, this.durable],
    );
  }

  /** Says that all events up to `position` are settled or noted. */
  reached(position: number): Statement {
    return {
      sql: `UPDATE bus_lane SET position = MAX(position, ?3), suspect = 0, starts = 0
        WHERE durable = ?1 AND part = ?2`,
      params: [this.durable, this.part, position],
    };
  }

  async suspect(position: number, starts: number): Promise<void> {
    await this.#write('UPDATE bus_lane SET suspect = ?3, starts = ?4 WHERE durable = ?1 AND part = ?2', [
      position,
      starts,
    ]);
  }

  /** Notes an event that is to be tried again, and how far the consumer has come: what is settled never comes after it. */
  async addRetry(
    { position, event }: LogEntry,
    { attempt, due, settled }: { attempt: number; due: number; settled: number },
  ): Promise<Retry> {
    await this.#writer.write([
      {
        sql: 'INSERT INTO bus_retry (durable, part, position, event, attempt, due) VALUES (?, ?, ?, ?, ?, ?)',
        params: [this.durable, this.part, position, event, attempt, due],
      },
      this.reached(settled),
    ]);
    const [row] = this.#database.read<{ id: number }>(
      'SELECT id FROM bus_retry WHERE durable = ? AND position = ?',
      [this.durable, position],
    );
    return { id: row?.id ?? 0, position, event, attempt, due };
  }

  async updateRetry({ id, attempt, due }: Retry): Promise<void> {
    await this.#writer.write([
      { sql: 'UPDATE bus_retry SET attempt = ?, due = ? WHERE id = ?', params: [attempt, due, id] },
    ]);
  }

  async removeRetry(id: number): Promise<void> {
    await this.#writer.write([removal(id)]);
  }

  /** The dead letter and the end of the retries, at one stroke. */
  async bury(record: DeadRecord, position: number | null, retry: number | undefined): Promise<void> {
    const burial: Statement = {
      sql: 'INSERT INTO bus_dead (durable, part, position, record) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
      params: [this.durable, this.part, position, JSON.stringify(record)],
    };
    await this.#writer.write(retry === undefined ? [burial] : [burial, removal(retry)]);
  }

  async #write(sql: string, rest: readonly (string | number)[]): Promise<void> {
    await this.#writer.write([{ sql, params: [this.durable, this.part, ...rest] }]);
  }
}

function removal(id: number): Statement {
  return { sql: 'DELETE FROM bus_retry WHERE id = ?', params: [id] };
}
