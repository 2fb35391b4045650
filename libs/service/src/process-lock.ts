import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StartError } from './start-error.ts';

/** SQLite's primary result codes for "another process holds the lock". */
const BUSY = new Set([5, 6]);

/**
 * Takes a lock that one process holds at a time, on a file beside what it guards. The kernel releases it with the
 * process, however that ends: it is SQLite's own lock on an empty database.
 * @throws StartError `<variable>: …` where another process holds it
 */
export function takeProcessLock(options: {
  readonly file: string;
  /** The configuration variable to name, and what it points to. */
  readonly variable: string;
  readonly what: string;
}): Disposable {
  const { file, variable, what } = options;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    // no journal and nothing written: a full disk can be locked too
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    if (!isBusy(cause)) throw cause;
    throw new StartError(variable, `${what} is in use: Signet runs there already`, { cause });
  }
  return { [Symbol.dispose]: () => lock.close() };
}

function isBusy(error: unknown): boolean {
  return (
    error instanceof Error &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    BUSY.has(error.errcode & 0xff)
  );
}
