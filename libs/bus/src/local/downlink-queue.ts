import { backoffMs, pause } from '@signet/async';
import { parseMqttSubject } from '@signet/contracts';
import type { SqliteDatabase } from '@signet/sqlite';
import type { DownlinkHandler, StoredMessage, Subscription } from '../bus.ts';
import type { Log } from '../log.ts';
import type { LogWriter } from './log-writer.ts';

/** Messages that are looked up at a time, and in memory at most. */
const CHUNK = 256;
const MOST_HELD = 4096;

type Row = {
  readonly position: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly at: number;
};

/** Hands stored messages for devices to who takes them: those of one device one after the other, others beside them. */
export class DownlinkQueue {
  readonly #database: SqliteDatabase;
  readonly #writer: LogWriter;
  readonly #log: Log;
  readonly #takers = new Set<DownlinkHandler>();
  /** What each device waits for, the first of them in hand. */
  readonly #queues = new Map<string, Row[]>();
  readonly #running = new Set<Promise<void>>();
  #stopping = new AbortController();
  #position = 0;
  #held = 0;

  constructor(database: SqliteDatabase, writer: LogWriter, log: Log) {
    this.#database = database;
    this.#writer = writer;
    this.#log = log;
  }

  take(handler: DownlinkHandler): Subscription {
    if (this.#takers.size === 0) {
      this.#stopping = new AbortController();
      this.#position = 0;
    }
    this.#takers.add(handler);
    this.grown();
    return {
      [Symbol.asyncDispose]: async () => {
        this.#takers.delete(handler);
        if (this.#takers.size > 0) return;
        this.#stopping.abort();
        await Promise.all(this.#running);
      },
    };
  }

  /** To be called when a message was stored. */
  grown(): void {
    while (this.#takers.size > 0 && this.#held < MOST_HELD) {
      const rows = this.#read();
      for (const row of rows) this.#queue(row);
      if (rows.length < CHUNK) return;
    }
  }

  #read(): Row[] {
    try {
      return this.#database.read<Row>(
        `SELECT position, subject, payload, at FROM bus_down WHERE position > ? ORDER BY position LIMIT ${CHUNK}`,
        [this.#position],
      );
    } catch (err) {
      this.#log.warn({ err }, 'messages for devices could not be read');
      return [];
    }
  }

  #queue(row: Row): void {
    const { account = '', device = '' } = parseMqttSubject(row.subject) ?? {};
    const key = `${account}/${device}`;
    this.#position = row.position;
    this.#held++;
    const queue = this.#queues.get(key);
    if (queue !== undefined) {
      queue.push(row);
      return;
    }
    const rows = [row];
    this.#queues.set(key, rows);
    this.#run(key, rows);
  }

  #run(key: string, rows: Row[]): void {
    const run = this.#takeAll(rows, this.#stopping.signal).finally(() => {
      this.#running.delete(run);
      // what came just now, or what others are to take
      if (rows.length > 0 && this.#takers.size > 0) {
        this.#run(key, rows);
        return;
      }
      this.#queues.delete(key);
      this.#held -= rows.length;
      this.grown();
    });
    this.#running.add(run);
  }

  async #takeAll(rows: Row[], stop: AbortSignal): Promise<void> {
    for (let row = rows[0]; row !== undefined; row = rows[0]) {
      const { position, subject, payload, at } = row;
      if (!(await this.#takeOne({ subject, payload, id: `${position}-${at}` }, stop))) return;
      const sql = 'DELETE FROM bus_down WHERE position = ?';
      await this.#writer.write([{ sql, params: [position] }]).catch((err: unknown) => {
        this.#log.warn({ err, position }, 'a message for a device was taken, and comes again');
      });
      rows.shift();
      this.#held--;
    }
  }

  /** False: stopped before anybody took it. */
  async #takeOne(message: StoredMessage, stop: AbortSignal): Promise<boolean> {
    for (let attempt = 1; !stop.aborted; attempt++) {
      const [taker] = this.#takers;
      if (taker === undefined) return false;
      try {
        await taker(message);
        return true;
      } catch (err) {
        if (attempt === 1 || attempt % 10 === 0)
          this.#log.warn({ err, subject: message.subject, attempt }, 'a message for a device waits');
        await pause(backoffMs(attempt, { firstMs: 20, lastMs: 5000 }), { signal: stop });
      }
    }
    return false;
  }
}
