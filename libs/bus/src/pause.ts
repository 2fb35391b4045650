import { setTimeout as delay } from 'node:timers/promises';

/** Waits. Rejects with the signal's reason once it aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** The wait before try `attempt` + 1 (from 1): doubles from `first` to `most` ms, and is spread by a fifth. */
export function growing(attempt: number, first = 50, most = 5000): number {
  const ms = Math.min(most, first * 2 ** Math.min(attempt - 1, 20));
  return ms * (0.9 + Math.random() * 0.2);
}

/** The longest that a timer of Node's can wait, ms: beyond it, it fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Aborts after `ms`, whatever was reckoned: a fraction, which `AbortSignal.timeout` refuses, a time that is over, or one
 * that no timer can wait for.
 */
export function deadlineIn(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.min(LONGEST_MS, Math.max(0, Math.ceil(ms))));
}

/** Waits for `work`, but not longer than `ms`. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work.finally(() => over.abort()), pause(ms, over.signal).catch(() => {})]);
}
