import { setTimeout } from 'node:timers/promises';

/** Waits `ms`, or until the signal fires; never throws. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {});
}

/** Exponential backoff with full jitter: anywhere between 0 and min(cap, base · 2^failures) ms. */
export function jittered(
  failures: number,
  baseMs: number,
  capMs: number,
  random: () => number = Math.random,
): number {
  return random() * Math.min(capMs, baseMs * 2 ** failures);
}

/** Resolves with the work, or after `ms`: no timer is left behind. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, pause(ms, over.signal)]);
  over.abort();
}
