/** What came down for the device; `topic` is what follows `down/`. */
export type Incoming = { readonly topic: string; readonly payload: Buffer };

export type Listener = {
  /** Only what is on this topic or below it; the empty one: all. */
  readonly prefix: string;
  readonly take: (message: Incoming) => void;
};

const MOST = { messages: 1000, bytes: 1024 * 1024 };

/**
 * Hands what comes down to the workloads that listen, to each whose prefix fits. What nobody listens for waits in
 * memory, to a bound; then the oldest goes.
 */
export class Inbox {
  readonly #listeners = new Set<Listener>();
  readonly #dropped: (message: Incoming) => void;
  #waiting: Incoming[] = [];
  #bytes = 0;

  constructor(dropped: (message: Incoming) => void) {
    this.#dropped = dropped;
  }

  put(message: Incoming): void {
    const fitting = [...this.#listeners].filter((listener) => fits(listener, message));
    for (const { take } of fitting) take(message);
    if (fitting.length > 0) return;
    this.#waiting.push(message);
    this.#bytes += message.payload.length;
    while (this.#waiting.length > MOST.messages || this.#bytes > MOST.bytes) {
      const oldest = this.#waiting.shift();
      if (oldest === undefined) return;
      this.#bytes -= oldest.payload.length;
      this.#dropped(oldest);
    }
  }

  /** What waits for it comes first. */
  listen(listener: Listener): Disposable {
    this.#listeners.add(listener);
    const [fitting, others] = [true, false].map((is) =>
      this.#waiting.filter((message) => fits(listener, message) === is),
    );
    this.#waiting = others ?? [];
    for (const message of fitting ?? []) {
      this.#bytes -= message.payload.length;
      listener.take(message);
    }
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}

function fits({ prefix }: Listener, { topic }: Incoming): boolean {
  return prefix === '' || topic === prefix || topic.startsWith(`${prefix}/`);
}
