import { openWithWriter, type SqliteDatabase } from './database.ts';
import type { SlowSetup } from './testing/slow-writer-thread.ts';

/** A database on a disk that takes `commitMs` longer for every commit. */
export function openSlowDatabase(path: string, { commitMs }: { readonly commitMs: number }): SqliteDatabase {
  const setup: SlowSetup = { path, commitMs };
  return openWithWriter(path, {
    thread: new URL('./testing/slow-writer-thread.ts', import.meta.url),
    setup,
  });
}
