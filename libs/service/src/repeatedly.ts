/** Work that is repeated until it is disposed of; disposing waits for what is running. */
export interface Repetition extends AsyncDisposable {
  /** Why the last run failed; undefined where it did not. */
  failure(): string | undefined;
}

/** Runs `work` at once, and again `ms` after each run has ended. */
export function repeatedly(
  ms: number,
  work: () => Promise<void>,
  onError: (error: unknown) => void,
): Repetition {
  let stopped = false;
  let failure: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const run = async (): Promise<void> => {
    try {
      await work();
      failure = undefined;
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      onError(error);
    }
    if (stopped) return;
    timer = setTimeout(() => {
      running = run();
    }, ms).unref();
  };
  let running = run();
  return {
    failure: () => failure,
    async [Symbol.asyncDispose]() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
