import type { DenyChange } from '@signet/contracts';
import { type DenyKeys, type PeerFacts, peerDenyKeys } from './deny-key.ts';
import type { Admitting, DenyList, DenyListOptions, DenyVerdict } from './deny-list.ts';
import { Freshness } from './freshness.ts';
import type { ListState } from './list-state.ts';
import { loadSnapshot } from './load-snapshot.ts';
import { SnapshotCache } from './snapshot-cache.ts';
import { Backoff, backoffMs, pause } from './waiting.ts';

const REORDER_MS = 1000;
const HOUSEKEEPING_MS = 60_000;
/** Changes asked for in one request. */
const CHANGES_AT_ONCE = 1000;
/** How long a start from the list on disk waits for what the authority has denied since. */
const FIRST_WORD_MS = 2000;
/** Answers without the next change, after which it is taken for gone from the authority's log. */
const EMPTY_ANSWERS = 3;

/**
 * Opens a replica of the deny list. It returns at once, and goes on trying while the authority is away: changes are
 * buffered while a snapshot is loaded, a gap is waited for and then asked for, and after any reload every live session
 * is checked again.
 */
export function openDenyList(options: DenyListOptions): DenyList {
  return new Replica(options);
}

class Replica implements DenyList {
  readonly #options: DenyListOptions;
  readonly #freshness = new Freshness();
  readonly #cache: SnapshotCache | undefined;
  readonly #closing = new AbortController();
  readonly #loaded = Promise.withResolvers<void>();
  readonly #tasks: Promise<void>[];
  #live: ListState | undefined;
  /** What arrives while a snapshot is being loaded. */
  #buffer: DenyChange[] | undefined;
  #restored = false;
  #wake = Promise.withResolvers<void>();
  /** Resolves once changes are heard: a snapshot asked for before that could miss one. */
  readonly #listening = Promise.withResolvers<void>();
  #cacheDueAt = 0;

  constructor(options: DenyListOptions) {
    this.#options = options;
    this.#cache = options.cacheFile === undefined ? undefined : new SnapshotCache(options.cacheFile);
    this.#loaded.promise.catch(() => undefined);
    const { source } = options;
    this.#tasks = [
      this.#subscribed('changes', async () => {
        const subscription = await source.onChange((change) => this.#onChange(change));
        this.#listening.resolve();
        return subscription;
      }),
      this.#subscribed('heads', () => source.onHead((number) => this.#onHead(number))),
      this.#follow(),
      this.#keepHouse(),
    ];
  }

  admitting(): Admitting {
    const { staleAfterMs, cacheMaxAgeMs = staleAfterMs, refuseWhenStale = true, now } = this.#options;
    const live = this.#live;
    if (live === undefined)
      return { ok: false, code: 'denylist-not-loaded', message: 'deny list: not loaded yet' };
    if (refuseWhenStale && this.#freshness.isStale(now(), staleAfterMs, cacheMaxAgeMs)) {
      const seconds = Math.round(this.lagSeconds());
      const message = `deny list: behind its authority for ${seconds} s (holds ${live.number}, head ${this.#freshness.head})`;
      return { ok: false, code: 'denylist-stale', message };
    }
    return { ok: true, list: { check: (keys) => this.#check(live, keys) } };
  }

  denied(facts: PeerFacts): string | undefined {
    if (this.#live === undefined) return 'deny list: not loaded yet';
    const verdict = this.#check(this.#live, peerDenyKeys(facts));
    return verdict === 'clear' ? undefined : `deny list: its ${verdict.denied} is denied`;
  }

  state(): 'loading' | 'current' | 'behind' {
    if (this.#live === undefined) return 'loading';
    const { now, staleAfterMs } = this.#options;
    return this.#freshness.isBehind(this.#live.number, now(), staleAfterMs) ? 'behind' : 'current';
  }

  number(): number {
    return this.#live?.number ?? 0;
  }

  size(): number {
    return this.#live?.table.size ?? 0;
  }

  lagSeconds(): number {
    return this.#live === undefined
      ? Number.POSITIVE_INFINITY
      : this.#freshness.lag(this.#options.now()) / 1000;
  }

  whenLoaded(): Promise<void> {
    return this.#loaded.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#wake.resolve();
    this.#listening.resolve();
    this.#loaded.reject(new Error('deny list: closed before it was loaded'));
    await Promise.all(this.#tasks);
    await this.#saveCache();
  }

  #seconds(): number {
    return Math.floor(this.#options.now() / 1000);
  }

  #check({ table }: ListState, keys: DenyKeys): DenyVerdict {
    const now = this.#seconds();
    for (const kind of ['certificate', 'key', 'device', 'fingerprint', 'ca'] as const) {
      const key = keys[kind];
      if (key !== undefined && table.has(key, now)) return { denied: kind };
    }
    return 'clear';
  }

  #onChange(change: DenyChange): void {
    this.#buffer?.push(change);
    this.#apply(change);
    this.#wake.resolve();
  }

  #apply(change: DenyChange): void {
    const live = this.#live;
    if (live === undefined) return;
    const keys = live.offer(change);
    this.#freshness.heard(change.number);
    this.#freshness.applied(live.number);
    const now = this.#seconds();
    this.#options.sessions.endDenied(keys.filter((key) => live.table.has(key, now)));
  }

  #onHead(head: number): void {
    const said = this.#freshness.headSaid(head, this.number(), this.#options.now());
    if (said === 'restored') this.#restored = true;
    this.#wake.resolve();
  }

  /** Loads the list, then keeps it whole. */
  async #follow(): Promise<void> {
    await this.#openCache();
    await this.#listening.promise;
    const backoff = this.#backoff('deny list: cannot reach its authority');
    let empty = 0;
    while (!this.#closing.signal.aborted) {
      this.#wake = Promise.withResolvers();
      try {
        const live = this.#live;
        if (live === undefined || this.#restored) {
          await this.#load();
        } else if (live.number < this.#wanted(live)) {
          await pause(
            this.#closing.signal,
            empty === 0 ? (this.#options.reorderMs ?? REORDER_MS) : backoffMs(empty),
          );
          if (live.number >= this.#wanted(live)) continue;
          empty = (await this.#fetch(live)) ? 0 : empty + 1;
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

  #wanted(live: ListState): number {
    return Math.max(live.highest, this.#freshness.head);
  }

  /** Asks for what comes after `state`. @returns whether it came */
  async #fetch(state: ListState, to = this.#wanted(state)): Promise<boolean> {
    const from = state.number + 1;
    const changes = await this.#options.source.changes(from, Math.min(to, from + CHANGES_AT_ONCE - 1));
    for (const change of changes.toSorted((a, b) => a.number - b.number)) {
      if (state === this.#live) this.#apply(change);
      else state.offer(change);
    }
    return state.number >= from;
  }

  async #load(): Promise<void> {
    const askedAt = this.#options.now();
    const buffer: DenyChange[] = [];
    this.#buffer = buffer;
    try {
      const { state, highest } = await loadSnapshot(this.#options.source, this.#closing.signal);
      for (;;) {
        for (const change of buffer.splice(0)) state.offer(change);
        if (state.number >= Math.max(highest, state.highest)) break;
        if (!(await this.#fetch(state, Math.max(highest, state.highest))))
          throw new Error(`deny list: change ${state.number + 1} is missing behind the snapshot`);
      }
      this.#swap(state, askedAt);
    } finally {
      this.#buffer = undefined;
    }
  }

  #swap(state: ListState, askedAt: number): void {
    this.#restored = false;
    this.#freshness.loaded(state.number, askedAt);
    this.#cacheDueAt = 0;
    this.#adopt(state);
    this.#options.log.info({ number: state.number, entries: state.table.size }, 'deny list: loaded');
  }

  #adopt(state: ListState): void {
    this.#live = state;
    const now = this.#seconds();
    this.#options.sessions.recheck((key) => state.table.has(key, now));
    this.#loaded.resolve();
  }

  async #openCache(): Promise<void> {
    const { cacheFile, staleAfterMs, cacheMaxAgeMs = staleAfterMs, now, log } = this.#options;
    try {
      const cached = await this.#cache?.read();
      if (cached === undefined) return;
      const age = now() - cached.asOf;
      const facts = { cacheFile, ageSeconds: Math.round(age / 1000), number: cached.state.number };
      if (age < 0 || age > cacheMaxAgeMs) {
        log.warn(facts, 'deny list: the list on disk is too old to start from');
        return;
      }
      this.#freshness.cached(cached.state.number, cached.asOf);
      await Promise.race([this.#catchUp(cached.state), pause(this.#closing.signal, FIRST_WORD_MS)]);
      this.#freshness.applied(cached.state.number);
      this.#adopt(cached.state);
      log.info(facts, 'deny list: started from the list on disk');
    } catch (error) {
      log.warn({ err: error, cacheFile }, 'deny list: the list on disk cannot be used');
    }
  }

  /** Asks for what was denied while this process was down: who was must not get in because it has just started. */
  async #catchUp(state: ListState): Promise<void> {
    for (let failures = 0; !this.#closing.signal.aborted && this.#live === undefined; ) {
      try {
        const to = state.number + CHANGES_AT_ONCE;
        await this.#fetch(state, to);
        if (state.number < to) return;
      } catch {
        // an authority that is away is told of by those who go on trying
        await pause(this.#closing.signal, backoffMs(failures++));
      }
    }
  }

  async #saveCache(): Promise<void> {
    const live = this.#live;
    const { now, log } = this.#options;
    if (this.#cache === undefined || live === undefined || !this.#freshness.inContact) return;
    if (live.number < this.#freshness.head) return;
    try {
      await this.#cache.write(live, this.#freshness.asOf);
      this.#cacheDueAt = now() + HOUSEKEEPING_MS * Math.max(1, live.table.size / 1_000_000);
    } catch (error) {
      log.error({ err: error }, 'deny list: cannot keep the list on disk');
    }
  }

  async #keepHouse(): Promise<void> {
    await this.#loaded.promise.catch(() => undefined);
    while (!this.#closing.signal.aborted) {
      this.#live?.table.purge(this.#seconds());
      if (this.#options.now() >= this.#cacheDueAt) await this.#saveCache();
      await pause(this.#closing.signal, HOUSEKEEPING_MS);
    }
  }

  /** Subscribes, trying again until it succeeds, and ends the subscription on closing. */
  async #subscribed(what: string, subscribe: () => Promise<AsyncDisposable>): Promise<void> {
    const backoff = this.#backoff(`deny list: cannot listen for ${what}`);
    while (!this.#closing.signal.aborted) {
      try {
        await using _subscription = await subscribe();
        this.#wake.resolve();
        await pause(this.#closing.signal);
      } catch (error) {
        await backoff.failed(error);
      }
    }
  }

  #backoff(message: string): Backoff {
    return new Backoff(this.#closing.signal, (error, retryMs) =>
      this.#options.log.warn({ err: error, retryMs }, message),
    );
  }
}
