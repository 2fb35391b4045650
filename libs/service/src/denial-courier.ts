import { AsyncLocalStorage } from 'node:async_hooks';
import { backoffMs, pause, withDeadline } from '@signet/async';
import { type Bus, noteOwed } from '@signet/bus';
import { denyingTypes, hearDenials, type SignetEvent } from '@signet/contracts';
import type { Logger } from './logger.ts';

/** Within this a revocation has been heard, or the answer says that it is not in force yet. */
const HEARD_MS = 2000;
/** What the authority has not heard by then, and the stream has, comes to it by the stream. */
const STORED_MS = 5000;
const AT_ONCE = 100;
/** Denials that wait at most: what comes on top has the stream alone. */
const MAX_WAITING = 50_000;

const types: ReadonlySet<string> = new Set(denyingTypes);

type Waiting = {
  readonly event: SignetEvent;
  readonly heard: PromiseWithResolvers<void>;
  /** Since when (monotonic) the stream has it. */
  storedAt?: number;
};

/**
 * Tells the authority of the deny list of every denial as soon as it is written, by a request: the second way, which does
 * not depend on the stream of events. Whoever asked for a denial is answered once the authority has heard it; where
 * that takes more than two seconds, the answer says that it is owed.
 */
export class DenialCourier implements AsyncDisposable {
  readonly #bus: Pick<Bus, 'request'>;
  readonly #log: Logger;
  readonly #waiting = new Map<string, Waiting>();
  /** Until each of the denials that a running operation made is heard, by its id. */
  readonly #made = new AsyncLocalStorage<Map<string, Promise<void>>>();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(bus: Pick<Bus, 'request'>, log: Logger) {
    this.#bus = bus;
    this.#log = log;
  }

  /** These were written, and are on their way to the stream. */
  offer(events: readonly SignetEvent[]): void {
    if (this.#closing.signal.aborted) return;
    for (const event of events) {
      if (!types.has(event.type)) continue;
      // one that has no room is not told of: it stays owed
      const waiting = this.#waiting.get(event.id) ?? { event, heard: Promise.withResolvers<void>() };
      this.#made.getStore()?.set(event.id, waiting.heard.promise);
      if (this.#waiting.size < MAX_WAITING) this.#waiting.set(event.id, waiting);
    }
    if (this.#waiting.size > 0) this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** The stream has these. */
  stored(events: readonly SignetEvent[]): void {
    for (const { id } of events) {
      const waiting = this.#waiting.get(id);
      if (waiting !== undefined) waiting.storedAt ??= performance.now();
    }
  }

  /** Runs an operation, and notes where a denial that it made is not in force once it is to be answered. */
  async during<T>(operation: () => Promise<T>): Promise<T> {
    const made = new Map<string, Promise<void>>();
    const result = await this.#made.run(made, operation);
    if (made.size === 0) return result;
    const heard = Promise.all(made.values()).then(() => true);
    if (!(await withDeadline(heard, HEARD_MS, () => false))) noteOwed();
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#waiting.size > 0 && !this.#closing.signal.aborted; ) {
      const batch = [...this.#waiting.values()].slice(0, AT_ONCE);
      try {
        await this.#bus.request(
          hearDenials,
          { events: batch.map(({ event }) => ({ ...event })) },
          { deadlineMs: HEARD_MS },
        );
        failures = 0;
        for (const { event, heard } of batch) {
          this.#waiting.delete(event.id);
          heard.resolve();
        }
      } catch (err) {
        if (++failures === 1)
          this.#log.warn({ err }, 'denials: the authority does not hear of them; trying again');
        this.#leaveToStream();
        await pause(backoffMs(failures, { firstMs: 100, lastMs: 1000 }), { signal: this.#closing.signal });
      }
    }
  }

  #leaveToStream(): void {
    const before = performance.now() - STORED_MS;
    for (const [id, { storedAt }] of this.#waiting)
      if (storedAt !== undefined && storedAt < before) this.#waiting.delete(id);
  }
}

/** The same bus, whose operations say in their answer where what they denied is not in force yet. */
export function toldOfDenials(bus: Bus, courier: Pick<DenialCourier, 'during'>): Bus {
  return {
    ...bus,
    serve: (operation, handler) => bus.serve(operation, (input) => courier.during(() => handler(input))),
  };
}
