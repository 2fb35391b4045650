import type { SqliteDatabase } from '@signet/sqlite';
import type { DeadLetter, DeadLetters } from '../bus.ts';
import { BusError } from '../bus-error.ts';
import { type DeadRecord, readDeadRecord, toDeadLetter } from '../dead-record.ts';
import type { LogWriter } from './log-writer.ts';

type Row = { readonly id: number; readonly part: number; readonly record: string };

const LISTED = 1000;

export class LocalDeadLetters implements DeadLetters {
  readonly #database: SqliteDatabase;
  readonly #writer: LogWriter;
  readonly #revive: (durable: string) => void;

  /** `revive` is told which consumer has something to try again. */
  constructor(database: SqliteDatabase, writer: LogWriter, revive: (durable: string) => void) {
    this.#database = database;
    this.#writer = writer;
    this.#revive = revive;
  }

  async list(consumer?: string): Promise<readonly DeadLetter[]> {
    const [where, params] = consumer === undefined ? ['', []] : ['WHERE durable = ?', [consumer]];
    const rows = this.#database.read<Row>(
      `SELECT id, part, record FROM bus_dead ${where} ORDER BY id LIMIT ${LISTED}`,
      params,
    );
    return rows.flatMap(({ id, record }) => {
      const read = readDeadRecord(record);
      return read === undefined ? [] : [toDeadLetter(String(id), read)];
    });
  }

  async retry(id: string): Promise<void> {
    const { row, record } = this.#find(id);
    const event = record.event === undefined ? (record.text ?? '') : JSON.stringify(record.event);
    await this.#writer.write([
      {
        sql: 'INSERT INTO bus_retry (durable, part, event, attempt, due) VALUES (?, ?, ?, 0, 0)',
        params: [record.consumer, row.part, event],
      },
      { sql: 'DELETE FROM bus_dead WHERE id = ?', params: [row.id], expectChanges: 1 },
    ]);
    this.#revive(record.consumer);
  }

  async drop(id: string): Promise<void> {
    const { row } = this.#find(id);
    await this.#writer.write([{ sql: 'DELETE FROM bus_dead WHERE id = ?', params: [row.id] }]);
  }

  #find(id: string): { row: Row; record: DeadRecord } {
    const [row] = /^[1-9]\d{0,15}$/.test(id)
      ? this.#database.read<Row>('SELECT id, part, record FROM bus_dead WHERE id = ?', [Number(id)])
      : [];
    const record = row === undefined ? undefined : readDeadRecord(row.record);
    if (row === undefined || record === undefined) {
      throw new BusError('unknown-dead-letter', `there is no dead letter "${id}"`);
    }
    return { row, record };
  }
}
