import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { type Row, SqliteError, type SqlValue, type Statement, type StatementResult } from './statement.ts';
import { StatementCache } from './statement-cache.ts';
import { resultsOf, WireEncoder, type WireOutcome } from './wire.ts';
import type { WriterSetup } from './writer.ts';

/** Units that one transaction takes at most. */
export const GROUP_LIMIT = 512;

/** While writes fail, so often one is tried: who is not ready gets nothing to write. */
const PROBE_MS = 1000;
const PROBE: readonly Statement[] = [
  { sql: 'CREATE TABLE IF NOT EXISTS disk_probe (id INTEGER PRIMARY KEY, at INTEGER NOT NULL)' },
];

/** What the writer makes is gone with its group: a larger young generation only takes memory. */
const WRITER_YOUNG_MB = 12;

/** Told of a group that was committed: every unit of it, those that failed among them. */
export type CommitListener = (units: readonly (readonly Statement[])[]) => void;

type Waiting = {
  readonly unit: readonly Statement[];
  readonly resolve: (results: readonly StatementResult[]) => void;
  readonly reject: (error: SqliteError) => void;
};

/**
 * A SQLite file (WAL, synchronous FULL). Writes go to one worker thread, which commits what is queued as a group, so
 * that the disk never blocks the event loop; reads are synchronous, through a read-only connection.
 */
export interface SqliteDatabase extends AsyncDisposable {
  /**
   * One atomic unit; units take effect in the order of the calls. Resolves once it is on the disk, with one result
   * for each statement. A unit that fails leaves no trace and does not touch the others.
   * @throws SqliteError `constraint`, `unexpected-changes`, `invalid-statement`, `unavailable`, `closed`
   */
  write(unit: readonly Statement[]): Promise<readonly StatementResult[]>;
  /** All rows of a query. Sees everything that was committed before the call. @throws SqliteError */
  read<R extends Row = Row>(sql: string, params?: readonly SqlValue[]): R[];
  /** Calls `listener` after each group commit of this process, with what was committed. @returns a function that ends that */
  onCommit(listener: CommitListener): () => void;
  /** Undefined while writes succeed, else what is wrong. */
  failure(): string | undefined;
}

/**
 * Opens or creates the file (mode 0600; its directory too). ":memory:" is not supported.
 * @throws SqliteError `unavailable` where the disk does not take or give it
 */
export function openDatabase(path: string): SqliteDatabase {
  return openWithWriter(path, { thread: new URL('./writer-thread.ts', import.meta.url), setup: { path } });
}

/** Opens the file with a thread of writing that is started by another module: one that calls `serveGroups`. */
export function openWithWriter(
  path: string,
  writer: { readonly thread: URL; readonly setup: WriterSetup },
): SqliteDatabase {
  try {
    mkdirSync(dirname(path), { recursive: true });
    closeSync(openSync(path, 'a', 0o600));
    return new Database(path, writer);
  } catch (cause) {
    throw new SqliteError('unavailable', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

class Database implements SqliteDatabase {
  readonly #reader: DatabaseSync;
  readonly #statements: StatementCache;
  readonly #writer: Worker;
  readonly #exited: Promise<void>;
  readonly #listeners = new Set<CommitListener>();
  readonly #wire = new WireEncoder();
  #queue: Waiting[] = [];
  #group: Waiting[] = [];
  #closing = false;
  #writerGone: string | undefined;
  #failure: string | undefined;
  #probe: NodeJS.Timeout | undefined;

  constructor(path: string, { thread, setup }: { readonly thread: URL; readonly setup: WriterSetup }) {
    enterWalMode(path);
    this.#reader = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    this.#statements = new StatementCache(this.#reader);
    this.#writer = new Worker(thread, {
      workerData: setup,
      resourceLimits: { maxYoungGenerationSizeMb: WRITER_YOUNG_MB },
    });
    this.#writer.on('message', (outcomes: readonly WireOutcome[]) => this.#settle(outcomes));
    this.#writer.on('error', (error) => this.#lose(`the writer thread failed: ${String(error)}`));
    this.#exited = new Promise((resolve) => {
      this.#writer.on('exit', () => {
        this.#lose('the writer thread ended');
        resolve();
      });
    });
  }

  write(unit: readonly Statement[]): Promise<readonly StatementResult[]> {
    if (this.#closing) return Promise.reject(new SqliteError('closed', 'the database is closed'));
    if (this.#writerGone !== undefined) {
      return Promise.reject(new SqliteError('unavailable', this.#writerGone));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ unit, resolve, reject });
      this.#sendSoon();
    });
  }

  read<R extends Row = Row>(sql: string, params: readonly SqlValue[] = []): R[] {
    if (this.#closing) throw new SqliteError('closed', 'the database is closed');
    try {
      return this.#statements.prepare(sql).all(...params) as R[];
    } catch (cause) {
      throw new SqliteError('unavailable', `read: ${String(cause)}`, { cause });
    }
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  failure(): string | undefined {
    return this.#failure;
  }

  /** Commits what is queued, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      clearInterval(this.#probe);
      this.#reader.close();
      this.#send();
    }
    await this.#exited;
  }

  /** What is written in one turn of the event loop goes as one group. */
  #sendSoon(): void {
    if (this.#queue.length > 1 || this.#group.length > 0) return;
    setImmediate(() => this.#send());
  }

  #send(): void {
    if (this.#group.length > 0) return;
    if (this.#queue.length > 0) {
      this.#group = this.#queue.splice(0, GROUP_LIMIT);
      this.#writer.postMessage(this.#wire.encode(this.#group.map(({ unit }) => unit)));
    } else if (this.#closing) {
      this.#writer.postMessage('close');
    }
  }

  #settle(outcomes: readonly WireOutcome[]): void {
    const group = this.#group;
    this.#group = [];
    // a group that changed nothing has proved nothing
    if (
      outcomes.some(
        (outcome) => !('code' in outcome) && resultsOf(outcome).some(({ changes }) => changes > 0),
      )
    )
      this.#failure = undefined;
    this.#send();
    for (const [i, { resolve, reject }] of group.entries()) {
      const outcome = outcomes[i];
      if (outcome !== undefined && !('code' in outcome)) {
        resolve(resultsOf(outcome));
        continue;
      }
      const { code, message } = outcome ?? { code: 'unavailable' as const, message: 'no outcome' };
      if (code === 'unavailable') this.#failure = message;
      reject(new SqliteError(code, message));
    }
    this.#probeWhileFailing();
    if (outcomes.every((outcome) => 'code' in outcome && outcome.code === 'unavailable')) return;
    const units = group.map(({ unit }) => unit);
    for (const listener of this.#listeners) listener(units);
  }

  #probeWhileFailing(): void {
    if (this.#failure === undefined) {
      clearInterval(this.#probe);
      this.#probe = undefined;
    } else if (!this.#closing) {
      const sql = 'INSERT OR REPLACE INTO disk_probe VALUES (0, ?)';
      this.#probe ??= setInterval(() => {
        // behind others it waits like them
        if (this.#group.length + this.#queue.length === 0)
          this.write([...PROBE, { sql, params: [Date.now()] }]).catch(() => {});
      }, PROBE_MS).unref();
    }
  }

  #lose(reason: string): void {
    if (this.#writerGone !== undefined) return;
    this.#writerGone = reason;
    if (!this.#closing) this.#failure = reason;
    for (const { reject } of [...this.#group, ...this.#queue]) reject(new SqliteError('unavailable', reason));
    this.#group = [];
    this.#queue = [];
  }
}

/** A read-only connection cannot do this, and it has to be done before one is opened. */
function enterWalMode(path: string): void {
  const connection = new DatabaseSync(path, { timeout: 5000 });
  connection.exec('PRAGMA journal_mode = WAL');
  connection.close();
}
