import { pause } from '@signet/async';
import { type DenyKeys, type PeerFacts, peerDenyKeys } from './deny-key.ts';
import type { Admitting, DenyList, DenyListOptions, DenyVerdict } from './deny-list.ts';
import { Follower } from './follower.ts';
import { HeldList } from './held-list.ts';
import { boundOf, ListOnDisk } from './list-on-disk.ts';
import { Backoff } from './waiting.ts';

const REORDER_MS = 1000;
const HOUSEKEEPING_MS = 60_000;
/** How long a start from the list on disk waits for what the authority has denied since. */
const FIRST_WORD_MS = 2000;

/**
 * Opens a replica of the deny list. It returns at once, and goes on trying while the authority is unavailable: changes are
 * buffered while a snapshot is loaded, a gap is waited for and then asked for, and after any reload every live session
 * is checked again. What is held is compared with the authority's digest, and loaded anew where it differs.
 */
export function openDenyList(options: DenyListOptions): DenyList {
  return new Replica(options);
}

class Replica implements DenyList {
  readonly #options: DenyListOptions;
  readonly #held: HeldList;
  readonly #follower: Follower;
  readonly #disk: ListOnDisk;
  readonly #closing = new AbortController();
  readonly #tasks: Promise<void>[];
  readonly #listening = Promise.withResolvers<void>();

  constructor(options: DenyListOptions) {
    this.#options = options;
    const { source, now, reorderMs = REORDER_MS } = options;
    const closing = this.#closing.signal;
    this.#held = new HeldList(options);
    this.#disk = new ListOnDisk(this.#held, options);
    this.#follower = new Follower({ held: this.#held, source, now, reorderMs, closing });
    this.#tasks = [
      this.#subscribed('changes', async () => {
        const subscription = await source.onChange((change) => this.#follower.heard(change));
        this.#listening.resolve();
        return subscription;
      }),
      this.#subscribed('heads', () =>
        source.onHead((head) => {
          this.#held.head(head);
          this.#follower.wake();
        }),
      ),
      this.#subscribed('digests', () =>
        source.onDigest((digest) => {
          this.#held.digest(digest);
          this.#follower.wake();
        }),
      ),
      this.#follow(),
      this.#keepHouse(),
    ];
  }

  admitting(): Admitting {
    const { staleAfterMs, cacheMaxAgeMs = staleAfterMs, refuseWhenStale = true, now } = this.#options;
    const { live, freshness } = this.#held;
    if (live === undefined)
      return {
        ok: false,
        code: 'denylist-not-loaded',
        message: `deny list: not loaded yet${this.#disk.tooOld ?? ''}`,
      };
    if (refuseWhenStale && freshness.isStale(now(), staleAfterMs, cacheMaxAgeMs)) {
      const seconds = Math.round(this.lagSeconds());
      const message = `deny list: behind its authority for ${seconds} s (holds ${live.number}, head ${freshness.head})${freshness.inContact ? '' : boundOf(cacheMaxAgeMs)}`;
      return { ok: false, code: 'denylist-stale', message };
    }
    return { ok: true, list: { check: (keys) => this.#check(keys) } };
  }

  denied(facts: PeerFacts): string | undefined {
    const { live } = this.#held;
    if (live === undefined) return 'deny list: not loaded yet';
    const verdict = this.#check(peerDenyKeys(facts));
    return verdict === 'clear' ? undefined : `deny list: its ${verdict.denied} is denied`;
  }

  state(): 'loading' | 'current' | 'behind' {
    const { live, freshness } = this.#held;
    if (live === undefined) return 'loading';
    const { now, staleAfterMs } = this.#options;
    return freshness.isBehind(live.number, now(), staleAfterMs) ? 'behind' : 'current';
  }

  number(): number {
    return this.#held.live?.number ?? 0;
  }

  size(): number {
    return this.#held.live?.table.size ?? 0;
  }

  mismatch(): string | undefined {
    return this.#held.mismatch;
  }

  kept(): number {
    return this.#held.kept.size;
  }

  alarm(): string | undefined {
    return this.#held.alarm;
  }

  lagSeconds(): number {
    return this.#held.live === undefined
      ? Number.POSITIVE_INFINITY
      : this.#held.freshness.lag(this.#options.now()) / 1000;
  }

  whenLoaded(): Promise<void> {
    return this.#held.loaded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#follower.wake();
    this.#listening.resolve();
    this.#held.close();
    await Promise.all(this.#tasks);
    await this.#disk.save();
  }

  #check(keys: DenyKeys): DenyVerdict {
    const now = this.#held.seconds();
    for (const kind of ['certificate', 'key', 'device', 'fingerprint', 'ca', 'account'] as const) {
      const key = keys[kind];
      if (key !== undefined && this.#held.denies(key, now)) return { denied: kind };
    }
    return this.#held.denies(keys.newOfCa, now) ? { denied: 'ca' } : 'clear';
  }

  async #follow(): Promise<void> {
    await this.#disk.open(async (state) => {
      const tooLate = pause(FIRST_WORD_MS, { signal: this.#closing.signal, unref: true });
      await Promise.race([this.#follower.catchUp(state), tooLate]);
    });
    await this.#listening.promise;
    await this.#follower.run(this.#backoff('deny list: cannot reach its authority'));
  }

  async #keepHouse(): Promise<void> {
    await this.#held.loaded.catch(() => undefined);
    while (!this.#closing.signal.aborted) {
      this.#held.freshness.keepTime(this.#options.now());
      await this.#disk.saveIfDue();
      await pause(HOUSEKEEPING_MS, { signal: this.#closing.signal, unref: true });
    }
  }

  /** Subscribes, trying again until it succeeds, and ends the subscription on closing. */
  async #subscribed(what: string, subscribe: () => Promise<AsyncDisposable>): Promise<void> {
    const backoff = this.#backoff(`deny list: cannot listen for ${what}`);
    while (!this.#closing.signal.aborted) {
      try {
        await using _subscription = await subscribe();
        this.#follower.wake();
        await pause(Number.POSITIVE_INFINITY, { signal: this.#closing.signal, unref: true });
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
