import { type Repetition, repeatedly, withDeadline } from '@signet/async';
import type { Log } from './log.ts';
import type { DocumentRecord } from './record.ts';
import type { Publish } from './store.ts';

/** Documents that are published from at the same time. */
const WIDTH = 256;
const PAGE = 500;

/** What the relay needs of a collection. */
export type OutboxSource = {
  readonly name: string;
  read(id: string): Promise<DocumentRecord | undefined>;
  pending(after: string, limit: number): Promise<readonly string[]>;
  /** Takes published events out of a document's outbox. */
  settle(id: string, published: ReadonlySet<string>): Promise<void>;
};

export type RelayOptions = { readonly publish: Publish; readonly log: Log; readonly sweepMs: number };

/**
 * Carries events from outboxes to the bus: the head of a document's outbox first, each acknowledged before the next.
 * What fails is left to the sweep, which any replica makes at start and every `sweepMs`; so events come at least once.
 */
export class OutboxRelay implements AsyncDisposable {
  readonly #options: RelayOptions;
  readonly #sources: OutboxSource[] = [];
  /** Documents being published from → whether something was added meanwhile. */
  readonly #active = new Map<string, boolean>();
  /** Documents whose events wait → since when (monotonic). What does not fit is younger, but for a start on old ones. */
  readonly #since = new Map<string, number>();
  readonly #sweeps: Repetition;
  #overflow = false;
  #sweeping = false;
  #stopped = false;
  #failing = false;
  #whenIdle: (() => void) | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#sweeps = repeatedly(() => this.#sweepAll(), {
      everyMs: options.sweepMs,
      first: 'after-wait',
      onError: () => {},
    });
  }

  /** From now on this collection is swept, for the first time at once. */
  add(source: OutboxSource): void {
    this.#sources.push(source);
    this.#sweepAll();
  }

  /** Publishes what is in a document's outbox, without anybody waiting for it. */
  kick(source: OutboxSource, id: string): void {
    const key = `${source.name}/${id}`;
    if (this.#stopped) return;
    if (this.#active.has(key)) this.#active.set(key, true);
    else if (this.#active.size >= WIDTH) this.#overflow = true;
    else void this.#relay(source, id, key);
  }

  /** For how long the oldest event has been waiting, ms. */
  oldestMs(): number {
    const [first] = this.#since.values();
    return first === undefined ? 0 : performance.now() - first;
  }

  /** Waits for what is being published, for at most `graceMs`; the rest is swept up after the next start. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    await this.#sweeps[Symbol.asyncDispose]();
    if (this.#active.size === 0) return;
    const idle = Promise.withResolvers<void>();
    this.#whenIdle = idle.resolve;
    await withDeadline(idle.promise, graceMs, () => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(1000);
  }

  async #relay(source: OutboxSource, id: string, key: string): Promise<void> {
    this.#active.set(key, false);
    let failed = false;
    if (!this.#since.has(key)) this.#since.set(key, performance.now());
    try {
      while ((await this.#publishFrom(source, id)) || this.#active.get(key) === true)
        this.#active.set(key, false);
      this.#since.delete(key);
      this.#failing = false;
    } catch (error) {
      failed = true;
      this.#report(error, key);
    } finally {
      this.#active.delete(key);
      if (this.#active.size === 0) this.#whenIdle?.();
      if (!failed && this.#overflow && this.#active.size < WIDTH / 2) this.#sweepAll();
    }
  }

  /** Of failures in a row only the first is worth a line. */
  #report(error: unknown, document: string): void {
    if (!this.#stopped && !this.#failing) {
      this.#options.log.warn({ err: error, document }, 'events wait in outboxes');
    }
    this.#failing = true;
  }

  /** @returns whether there was anything to publish */
  async #publishFrom(source: OutboxSource, id: string): Promise<boolean> {
    const record = await source.read(id);
    if (record === undefined || record.outbox.length === 0 || this.#stopped) return false;
    const published = new Set<string>();
    try {
      for (const event of record.outbox) {
        if (this.#stopped) break;
        await this.#options.publish([event]);
        published.add(event.id);
      }
    } finally {
      if (published.size > 0) await source.settle(id, published);
    }
    return true;
  }

  #sweepAll(): void {
    if (this.#sweeping || this.#stopped) return;
    this.#sweeping = true;
    this.#overflow = false;
    const sweeps = this.#sources.map((source) => this.#sweep(source));
    void Promise.allSettled(sweeps).then((results) => {
      this.#sweeping = false;
      for (const { reason } of results.filter((result) => result.status === 'rejected')) {
        if (!this.#stopped) this.#options.log.warn({ err: reason }, 'outboxes could not be swept');
      }
    });
  }

  async #sweep(source: OutboxSource): Promise<void> {
    let after = '';
    for (;;) {
      const ids = await source.pending(after, PAGE);
      for (const id of ids) this.kick(source, id);
      const last = ids.at(-1);
      if (last === undefined || this.#overflow || this.#stopped) return;
      after = last;
    }
  }
}
