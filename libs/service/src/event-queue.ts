import { pause, withDeadline } from '@signet/async';
import type { SignetEvent } from '@signet/contracts';

/**
 * Hands events to the bus without anyone waiting for it. Bounded: what has no room is dropped and told to `onDrop`.
 * For events that are news, not state (state changes go through the outbox of a store).
 */
export class EventQueue implements AsyncDisposable {
  readonly #publish: (events: readonly SignetEvent[], options: { signal: AbortSignal }) => Promise<void>;
  readonly #capacity: number;
  readonly #gatherMs: number;
  readonly #onDrop: (events: readonly SignetEvent[], cause?: unknown) => void;
  readonly #stopped = new AbortController();
  readonly #closing = new AbortController();
  #waiting: SignetEvent[] = [];
  #running: Promise<void> | undefined;

  constructor(options: {
    /** `bus.publish`: waits while the bus is unavailable. */
    readonly publish: (events: readonly SignetEvent[], options: { signal: AbortSignal }) => Promise<void>;
    readonly capacity: number;
    /** How long events wait for others, so that they are stored together. Default 0. */
    readonly gatherMs?: number;
    readonly onDrop: (events: readonly SignetEvent[], cause?: unknown) => void;
  }) {
    this.#publish = options.publish;
    this.#capacity = options.capacity;
    this.#gatherMs = options.gatherMs ?? 0;
    this.#onDrop = options.onDrop;
  }

  get length(): number {
    return this.#waiting.length;
  }

  push(event: SignetEvent): void {
    if (this.#stopped.signal.aborted || this.#waiting.length >= this.#capacity) {
      this.#onDrop([event]);
      return;
    }
    this.#waiting.push(event);
    this.#running ??= this.#run();
  }

  /** Waits until all is published, at most `deadlineMs`; the rest is dropped. */
  async close(deadlineMs = 2000): Promise<void> {
    this.#closing.abort();
    const running = this.#running ?? Promise.resolve();
    await withDeadline(running, deadlineMs, () => this.#stopped.abort());
    await running;
    this.#stopped.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#gather();
      const batch = this.#stopped.signal.aborted ? this.#waiting : this.#waiting.slice(0, 256);
      const failure = await this.#hand(batch);
      this.#waiting = this.#waiting.slice(batch.length);
      if (failure !== undefined) this.#onDrop(batch, failure.cause);
    }
    this.#running = undefined;
  }

  async #gather(): Promise<void> {
    const { signal } = this.#closing;
    if (this.#gatherMs > 0 && !signal.aborted) await pause(this.#gatherMs, { signal });
  }

  async #hand(batch: readonly SignetEvent[]): Promise<{ cause: unknown } | undefined> {
    const { signal } = this.#stopped;
    const { promise: stopped, resolve } = Promise.withResolvers<{ cause: unknown }>();
    const stop = () => resolve({ cause: signal.reason });
    if (signal.aborted) return { cause: signal.reason };
    signal.addEventListener('abort', stop, { once: true });
    const published = this.#publish(batch, { signal }).then(
      () => undefined,
      (cause: unknown) => ({ cause }),
    );
    const outcome = await Promise.race([published, stopped]);
    signal.removeEventListener('abort', stop);
    return outcome;
  }
}
