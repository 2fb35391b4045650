import { backoffMs, pause } from '@signet/async';
import { type SqliteDatabase, SqliteError, type Statement } from '@signet/sqlite';
import { BusError } from '../bus-error.ts';
import type { Log } from '../log.ts';

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
   * One unit, written as soon as the file takes it and `full` (which says what is full) does not object. `until` gives
   * what ends the waiting, and is asked for it only if there is any.
   * @throws BusError `full` or `unavailable` when that signal aborts, `closed`
   */
  async write(
    unit: readonly Statement[],
    options: { until?(): AbortSignal; full?(): string | undefined } = {},
  ): Promise<void> {
    let stop: AbortSignal | undefined;
    for (let attempt = 1; ; attempt++) {
      this.closing.throwIfAborted();
      const failure = await this.#once(unit, options.full);
      if (failure === undefined) return;
      if (attempt === 1 || attempt % 10 === 0) {
        this.#log.warn({ attempt, err: failure }, 'the log of the local bus cannot be written; trying again');
      }
      stop ??= AbortSignal.any([this.closing, ...(options.until === undefined ? [] : [options.until()])]);
      if (await pause(backoffMs(attempt, { firstMs: 20, lastMs: 1000 }), { signal: stop })) continue;
      this.closing.throwIfAborted();
      throw failure;
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
