const MINUTE_MS = 60_000;

type OnTick = () => void | Promise<void>;

/**
 * A minute of monotonic time, over and over. Whatever is due at a time of the wall clock looks at that clock at each
 * tick: a timer set for that time would sleep through a clock that is set forward.
 */
export class Ticks {
  readonly #ms: number;
  readonly #listeners = new Set<OnTick>();
  #timer: NodeJS.Timeout | undefined;

  constructor(ms = MINUTE_MS) {
    this.#ms = ms;
  }

  /** Calls `listener`, which must not throw, at each tick until disposed. The timer keeps no process alive. */
  on(listener: OnTick): Disposable {
    const own: OnTick = () => listener();
    this.#listeners.add(own);
    this.#timer ??= setInterval(() => void this.fire(), this.#ms).unref();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(own);
        if (this.#listeners.size > 0) return;
        clearInterval(this.#timer);
        this.#timer = undefined;
      },
    };
  }

  /** One tick now; resolves when all that it set off is done. */
  async fire(): Promise<void> {
    await Promise.allSettled(Array.from(this.#listeners, async (listener) => listener()));
  }
}

/** The ticks of this process. */
export const processTicks = new Ticks();
