import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ENTRIES = 10_000_000;

const execute = promisify(execFile);

/**
 * A replica's list of ten million entries, in a process of its own: loaded from the pages of a snapshot as its authority
 * serves them, looked up (keys in hex, half of them there), changed one by one, and purged of nine tenths. Memory is
 * what the process holds beyond what it held before, after a garbage collection.
 */
export async function denylist(): Promise<object> {
  const module = fileURLToPath(new URL('./denylist/measure.ts', import.meta.url));
  const { stdout } = await execute(process.execPath, ['--expose-gc', module, String(ENTRIES)]);
  return { bench: 'denylist', ...(JSON.parse(stdout) as object) };
}
