import type { Timers } from './timers.ts';

/** Timers that run when a test says so, in the order of their times. */
export interface ManualTimers extends Timers {
  /** Lets `ms` pass, and resolves once all that this set off has had its turn. */
  pass(ms: number): Promise<void>;
  /** How long the timers that run are still to wait, ms. */
  waits(): readonly number[];
}

export function manualTimers(): ManualTimers {
  let now = 0;
  const pending = new Set<{ readonly at: number; readonly run: () => void }>();
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    after(ms, run) {
      const timer = { at: now + Math.max(0, ms), run };
      pending.add(timer);
      return { [Symbol.dispose]: () => void pending.delete(timer) };
    },
    async pass(ms) {
      const end = now + ms;
      // what has just been called may not have come to its timer yet
      await turn();
      for (;;) {
        const [next] = [...pending].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        now = next.at;
        pending.delete(next);
        next.run();
        await turn();
      }
      now = end;
      await turn();
    },
    waits: () => [...pending].map(({ at }) => at - now).sort((a, b) => a - b),
  };
}
