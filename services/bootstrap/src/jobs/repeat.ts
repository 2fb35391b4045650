/** A job that runs again and again until it is disposed of. */
export interface Repeated extends AsyncDisposable {
  /** There is something to do: not later than the next turn. */
  wake(): void;
}

/** Runs `turn` at once, after each `wake`, and `everyMs` after the last one ended. Disposing waits for what runs. */
export function repeat(
  everyMs: number,
  turn: () => Promise<void>,
  onError: (error: unknown) => void,
): Repeated {
  let isStopped = false;
  let isWoken = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    isWoken = false;
    await turn().catch(onError);
    running = undefined;
    if (isStopped) return;
    if (isWoken) start();
    else timer = setTimeout(start, everyMs).unref();
  };
  const start = () => {
    clearTimeout(timer);
    running ??= run();
  };
  start();
  return {
    wake() {
      isWoken = true;
      if (running === undefined && !isStopped) start();
    },
    async [Symbol.asyncDispose]() {
      isStopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
