import { backoffMs, pause } from '@signet/async';
import type { DenyChange } from '@signet/contracts';
import type { HeldList } from './held-list.ts';
import type { ListState } from './list-state.ts';
import { loadSnapshot } from './load-snapshot.ts';
import type { DenyListSource } from './source.ts';
import { type Backoff, RETRY } from './waiting.ts';

/** Changes asked for in one request. */
const CHANGES_AT_ONCE = 1000;
/** Answers without the next change, after which it is taken for gone from the authority's log. */
const EMPTY_ANSWERS = 3;

/** Loads the list, then keeps it whole: a gap is waited for, then asked for. */
export class Follower {
  readonly #held: HeldList;
  readonly #source: DenyListSource;
  readonly #now: () => number;
  readonly #reorderMs: number;
  readonly #closing: AbortSignal;
  /** What arrives while a snapshot is being loaded. */
  #buffer: DenyChange[] | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(parts: {
    readonly held: HeldList;
    readonly source: DenyListSource;
    /** Unix ms. */
    readonly now: () => number;
    /** How long a missing change may take before it is asked for, in ms. */
    readonly reorderMs: number;
    readonly closing: AbortSignal;
  }) {
    this.#held = parts.held;
    this.#source = parts.source;
    this.#now = parts.now;
    this.#reorderMs = parts.reorderMs;
    this.#closing = parts.closing;
  }

  /** Has it look whether there is something to do. */
  wake(): void {
    this.#wake.resolve();
  }

  heard(change: DenyChange): void {
    this.#buffer?.push(change);
    this.#held.change(change);
    this.wake();
  }

  /** Runs until it is closed. Changes must be heard by then: a snapshot asked for before that could miss one. */
  async run(backoff: Backoff): Promise<void> {
    let empty = 0;
    while (!this.#closing.aborted) {
      this.#wake = Promise.withResolvers();
      try {
        const { live, isSuspect } = this.#held;
        if (live === undefined || isSuspect) {
          await this.#load();
        } else if (live.number < this.#held.wanted) {
          const ms = empty === 0 ? this.#reorderMs : backoffMs(empty + 1, RETRY);
          await pause(ms, { signal: this.#closing, unref: true });
          if (live.number >= this.#held.wanted) continue;
          empty = (await this.#fetch(live, this.#held.wanted)) ? 0 : empty + 1;
          if (empty > 0 && empty % EMPTY_ANSWERS === 0) await this.#load();
        } else {
          empty = 0;
          await this.#wake.promise;
        }
        backoff.succeeded();
      } catch (error) {
        await backoff.failed(error);
      }
    }
  }

  /** Brings a list that is not in force yet up to the authority's; goes on trying while that is unavailable. */
  async catchUp(state: ListState): Promise<void> {
    for (let failures = 0; !this.#closing.aborted && this.#held.live === undefined; ) {
      try {
        const to = state.number + CHANGES_AT_ONCE;
        await this.#fetch(state, to);
        if (state.number < to) return;
      } catch {
        // an authority that is unavailable is told of by those who go on trying
        await pause(backoffMs(++failures, RETRY), { signal: this.#closing, unref: true });
      }
    }
  }

  /** Asks for what comes after `state`. @returns whether it came */
  async #fetch(state: ListState, to: number): Promise<boolean> {
    const from = state.number + 1;
    const changes = await this.#source.changes(from, Math.min(to, from + CHANGES_AT_ONCE - 1));
    for (const change of changes.toSorted((a, b) => a.number - b.number)) {
      if (state === this.#held.live) this.#held.change(change);
      else state.offer(change);
    }
    return state.number >= from;
  }

  async #load(): Promise<void> {
    const askedAt = this.#now();
    const buffer: DenyChange[] = [];
    this.#buffer = buffer;
    try {
      const { state, highest } = await loadSnapshot(this.#source, this.#closing);
      for (;;) {
        for (const change of buffer.splice(0)) state.offer(change);
        const to = Math.max(highest, state.highest);
        if (state.number >= to) break;
        if (!(await this.#fetch(state, to)))
          throw new Error(`deny list: change ${state.number + 1} is missing behind the snapshot`);
      }
      this.#held.replace(state, askedAt);
    } finally {
      this.#buffer = undefined;
    }
  }
}
