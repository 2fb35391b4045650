import { setTimeout as sleep } from 'node:timers/promises';

/** Waits, at most until `signal` fires; tells whether the time is over (rather than the wait). */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

/** The wait before try `attempt` (from 1): doubling from `firstMs` to `lastMs`, less up to a quarter at random. */
export function backoffMs(attempt: number, firstMs: number, lastMs: number): number {
  const full = Math.min(lastMs, firstMs * 2 ** Math.min(attempt - 1, 30));
  return full * (1 - Math.random() / 4);
}
