import { type SqliteDatabase, SqliteError, type Statement } from '@signet/store/sqlite';
import { BusError } from '../bus-error.ts';
import type { Log } from '../log.ts';
import { growing, pause } from '../pause.ts';

/** Writes that stay at it until the file has them. */
export class LogWriter {
  readonly #database: SqliteDatabase;
  readonly #log: Log;
  readonly #closing = new AbortController();

  constructor(database: SqliteDatabase, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  close(): void {
    this.#closing.abort(new BusError('closed', 'the bus is closed'));
  }

  failure(): string | undefined {
    return this.#database.failure();
  }

  /**
   * One unit, written as soon as the file takes it and `full` (which says what is full) does not object.
   * @throws BusError `full` or `unavailable` when `signal` aborts, `closed`
   */
  async write(
    unit: readonly Statement[],
    options: { readonly signal?: AbortSignal | undefined; full?(): string | undefined } = {},
  ): Promise<void> {
    const stop =
      options.signal === undefined ? this.closing : AbortSignal.any([options.signal, this.closing]);
    for (let attempt = 1; ; attempt++) {
      this.closing.throwIfAborted();
      const failure = await this.#once(unit, options.full);
      if (failure === undefined) return;
      if (attempt === 1 || attempt % 10 === 0) {
        this.#log.warn({ attempt, err: failure }, 'the log of the local bus cannot be written; trying again');
      }
      await pause(growing(attempt, 20, 1000), stop).catch(() => {
        this.closing.throwIfAborted();
        throw failure;
      });
    }
  }

  async #once(unit: readonly Statement[], full?: () => string | undefined): Promise<BusError | undefined> {
    try {
      const problem = full?.();
      if (problem !== undefined) return new BusError('full', problem);
      await this.#database.write(unit);
      return undefined;
    } catch (cause) {
      if (cause instanceof SqliteError && cause.code === 'closed') {
        throw new BusError('closed', 'the database is closed', { cause });
      }
      if (!(cause instanceof SqliteError) || cause.code !== 'unavailable') throw cause;
      return new BusError('unavailable', cause.message, { cause });
    }
  }
}
