import { LONGEST_TIMER_MS, systemTimers, type Timers } from './timers.ts';

/**
 * Aborts after `ms`, whatever was computed: a fraction, which `AbortSignal.timeout` refuses, a time that is over, or one
 * that no timer can wait for.
 */
export function deadlineIn(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(ms))));
}

/**
 * The result of `work`, or of `onLate` where the work takes longer than `ms`. `onLate` returns what to go on with, or
 * throws what the caller is to see. The work itself is not cancelled; where it fails afterwards, nobody hears of it.
 */
export async function withDeadline<T, L = T>(
  work: Promise<T>,
  ms: number,
  onLate: () => L,
  timers: Timers = systemTimers,
): Promise<T | L> {
  const late = Promise.withResolvers<L>();
  const timer = timers.after(ms, () => {
    try {
      late.resolve(onLate());
    } catch (error) {
      late.reject(error);
    }
  });
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    timer[Symbol.dispose]();
  }
}
