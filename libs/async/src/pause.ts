import { systemTimers, type Timers } from './timers.ts';

export type PauseOptions = {
  /** Ends the wait early. */
  readonly signal?: AbortSignal | undefined;
  /** The wait alone does not keep the process alive. Default false. */
  readonly unref?: boolean;
  readonly timers?: Timers;
};

/**
 * Waits `ms`, or until `signal` aborts; never throws. `Infinity` waits for the signal alone.
 * @returns whether the time is over, rather than the wait cut short
 */
export function pause(ms: number, options: PauseOptions = {}): Promise<boolean> {
  const { signal, unref = false, timers = systemTimers } = options;
  if (signal?.aborted === true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const stop = () => {
      timer[Symbol.dispose]();
      resolve(false);
    };
    const timer = timers.after(
      ms,
      () => {
        signal?.removeEventListener('abort', stop);
        resolve(true);
      },
      { unref },
    );
    signal?.addEventListener('abort', stop, { once: true });
  });
}
