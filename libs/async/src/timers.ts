/** The longest that a timer of Node's can wait, ms: beyond it, it fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What waits are measured by: monotonic time, which no change of the wall clock moves. Tests inject their own. */
export interface Timers {
  /** Calls `run` once after `ms`. `unref`: the timer alone does not keep the process alive. Disposing cancels it. */
  after(ms: number, run: () => void, options?: { readonly unref?: boolean }): Disposable;
}

/** Node's timers. A wait that is too long for one of them is cut to 24 days, a negative one is none. */
export const systemTimers: Timers = {
  after(ms, run, { unref = false } = {}) {
    const timer = setTimeout(run, Math.min(LONGEST_TIMER_MS, Math.max(0, ms)));
    if (unref) timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
