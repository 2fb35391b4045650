import { systemTimers, type Timers } from './timers.ts';

/** Work that is repeated until it is disposed of; disposing waits for what is running. */
export interface Repetition extends AsyncDisposable {
  /** Runs the work now; where it is running, once more as soon as that has ended. Nothing after disposal. */
  wake(): void;
  /** Why the last run failed; undefined where it did not. */
  failure(): string | undefined;
}

export type RepetitionOptions = {
  /** From the end of a run to the beginning of the next, ms (monotonic). A function is asked after each run. */
  readonly everyMs: number | (() => number);
  /** The share of each wait that is left to chance, so that replicas that started together run apart. Default 0. */
  readonly jitter?: number;
  /** `at-once` (default), or `after-wait`: not before the first wait, which with jitter is anything up to `everyMs`. */
  readonly first?: 'at-once' | 'after-wait';
  /** Another cause of a run, subscribed to until disposal: `(wake) => ticks.on(wake)`. */
  readonly wakeOn?: (wake: () => void) => Disposable | AsyncDisposable;
  /** Told of each run that failed; the work goes on being repeated. */
  readonly onError: (error: unknown) => void;
  /** Ends the repetition, as disposal does. */
  readonly signal?: AbortSignal;
  readonly timers?: Timers;
  /** At least 0, less than 1. Default `Math.random`. */
  readonly random?: () => number;
};

/**
 * Runs `work` again and again, never twice at a time. Its timers keep no process alive. What an event sets off as well
 * as a clock calls `wake`.
 */
export function repeatedly(work: () => void | Promise<void>, options: RepetitionOptions): Repetition {
  const { everyMs, jitter = 0, first = 'at-once', onError, signal } = options;
  const { timers = systemTimers, random = Math.random } = options;
  let isStopped = signal?.aborted === true;
  let isWoken = false;
  let failure: string | undefined;
  let timer: Disposable | undefined;
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    isWoken = false;
    try {
      await work();
      failure = undefined;
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      onError(error);
    }
    running = undefined;
    if (isStopped) return;
    if (isWoken) start();
    else wait(1 - jitter * random());
  };
  const start = (): void => {
    timer?.[Symbol.dispose]();
    if (!isStopped) running ??= run();
  };
  const wait = (share: number): void => {
    const ms = typeof everyMs === 'number' ? everyMs : everyMs();
    timer = timers.after(ms * share, start, { unref: true });
  };
  const wake = (): void => {
    isWoken = true;
    if (running === undefined) start();
  };
  const stop = (): void => {
    isStopped = true;
    timer?.[Symbol.dispose]();
  };

  signal?.addEventListener('abort', stop, { once: true });
  const source = options.wakeOn?.(wake);
  if (first === 'at-once') start();
  else if (!isStopped) wait(jitter > 0 ? random() : 1);
  return {
    wake,
    failure: () => failure,
    async [Symbol.asyncDispose]() {
      stop();
      signal?.removeEventListener('abort', stop);
      if (source !== undefined) {
        if (Symbol.asyncDispose in source) await source[Symbol.asyncDispose]();
        else source[Symbol.dispose]();
      }
      await running;
    },
  };
}
