import { parseMqttSubject } from '@signet/contracts';
import type { SqliteDatabase } from '@signet/store/sqlite';
import type { Message, Subscription, TakeDown } from '../bus.ts';
import type { Log } from '../log.ts';
import { growing, pause } from '../pause.ts';
import type { LogWriter } from './log-writer.ts';

/** Messages that are looked up at a time. */
const CHUNK = 256;

type Row = { readonly position: number; readonly subject: string; readonly payload: Uint8Array };

/** Hands stored messages for devices to who takes them: those of one device one after the other, others beside them. */
export class DownLane {
  readonly #database: SqliteDatabase;
  readonly #writer: LogWriter;
  readonly #log: Log;
  readonly #takers = new Set<TakeDown>();
  readonly #running = new Set<Promise<void>>();
  #stopping = new AbortController();
  #pumping: Promise<void> | undefined;
  #isStale = false;

  constructor(database: SqliteDatabase, writer: LogWriter, log: Log) {
    this.#database = database;
    this.#writer = writer;
    this.#log = log;
  }

  take(handler: TakeDown): Subscription {
    if (this.#takers.size === 0) this.#stopping = new AbortController();
    this.#takers.add(handler);
    this.grown();
    return {
      [Symbol.asyncDispose]: async () => {
        this.#takers.delete(handler);
        if (this.#takers.size > 0) return;
        this.#stopping.abort();
        await this.#pumping;
      },
    };
  }

  /** To be called when a message was stored. */
  grown(): void {
    this.#isStale = true;
    if (this.#takers.size === 0 || this.#pumping !== undefined) return;
    this.#pumping = this.#pump().finally(() => {
      this.#pumping = undefined;
      if (this.#isStale && this.#takers.size > 0) this.grown();
    });
  }

  /** One chunk after the other, until there is none or nobody takes it. */
  async #pump(): Promise<void> {
    const { signal } = this.#stopping;
    let isMore = true;
    while ((isMore || this.#isStale) && !signal.aborted) {
      this.#isStale = false;
      const rows = this.#read();
      isMore = rows.length > 0;
      for (const ofDevice of byDevice(rows).values()) {
        const run = this.#takeAll(ofDevice, signal).finally(() => this.#running.delete(run));
        this.#running.add(run);
      }
      await Promise.all(this.#running);
    }
  }

  #read(): Row[] {
    try {
      return this.#database.read<Row>(
        `SELECT position, subject, payload FROM bus_down ORDER BY position LIMIT ${CHUNK}`,
      );
    } catch (err) {
      this.#log.warn({ err }, 'messages for devices could not be read');
      return [];
    }
  }

  async #takeAll(rows: readonly Row[], stop: AbortSignal): Promise<void> {
    for (const { position, ...message } of rows) {
      if (!(await this.#takeOne(message, stop))) return;
      const sql = 'DELETE FROM bus_down WHERE position = ?';
      await this.#writer.write([{ sql, params: [position] }]).catch((err: unknown) => {
        this.#log.warn({ err, position }, 'a message for a device was taken, and comes again');
      });
    }
  }

  /** False: stopped before anybody took it. */
  async #takeOne(message: Message, stop: AbortSignal): Promise<boolean> {
    for (let attempt = 1; !stop.aborted; attempt++) {
      const [taker] = this.#takers;
      if (taker === undefined) return false;
      try {
        await taker(message);
        return true;
      } catch (err) {
        if (attempt === 1 || attempt % 10 === 0)
          this.#log.warn({ err, subject: message.subject, attempt }, 'a message for a device waits');
        await pause(growing(attempt, 20, 5000), stop).catch(() => {});
      }
    }
    return false;
  }
}

function byDevice(rows: readonly Row[]): Map<string, Row[]> {
  const devices = new Map<string, Row[]>();
  for (const row of rows) {
    const { account = '', device = '' } = parseMqttSubject(row.subject) ?? {};
    const known = devices.get(`${account}/${device}`);
    if (known === undefined) devices.set(`${account}/${device}`, [row]);
    else known.push(row);
  }
  return devices;
}
