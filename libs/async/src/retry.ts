import { type BackoffOptions, backoffMs } from './backoff.ts';
import { pause } from './pause.ts';
import type { Timers } from './timers.ts';

export type RetryOptions = BackoffOptions & {
  /** Ends the tries: the last failure is thrown. */
  readonly signal?: AbortSignal;
  /**
   * Called with each failure and their count: to log it, or to throw what the caller is to see where no other try is
   * wanted.
   */
  readonly onFailure?: (error: unknown, failures: number) => void;
  /** The waits alone do not keep the process alive. Default false. */
  readonly unref?: boolean;
  readonly timers?: Timers;
};

/** The result of `step`, which is tried again with backoff for as long as it fails. */
export async function retry<T>(step: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, onFailure, unref = false, timers } = options;
  for (let failures = 1; ; failures++) {
    try {
      return await step();
    } catch (error) {
      if (signal?.aborted === true) throw error;
      onFailure?.(error, failures);
      const ms = backoffMs(failures, options);
      if (!(await pause(ms, { signal, unref, ...(timers === undefined ? {} : { timers }) }))) throw error;
    }
  }
}
