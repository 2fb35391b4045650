import type { DenyChange } from '@signet/contracts';
import type { DenyListLog, DenyListOptions } from './deny-list.ts';
import { DenyTable } from './deny-table.ts';
import { Freshness } from './freshness.ts';
import type { ListState } from './list-state.ts';
import type { DenyListDigest, DenyListHead } from './source.ts';

/** How far ahead the authority's clock may be for its purges to be followed. */
const CLOCK_SKEW_SECONDS = 300;
/** Tables up to this size are read through at each comparison: some 10 ms. */
const READ_THROUGH_ENTRIES = 1_000_000;

/** The list as a replica holds it, and what follows from each word of its authority. */
export class HeldList {
  readonly freshness = new Freshness();
  readonly #options: Pick<DenyListOptions, 'sessions' | 'now' | 'onMismatch' | 'onKept'> & {
    readonly log: DenyListLog;
  };
  readonly #loaded = Promise.withResolvers<void>();
  #live: ListState | undefined;
  #isSuspect = false;
  #mismatch: string | undefined;
  #unchecked: DenyListDigest | undefined;
  /** What was denied here and its authority knows no more: it goes on being denied. */
  #kept = new DenyTable();
  /** A list that is too old to decide, but not to be compared with what the authority has. */
  #former: ListState | undefined;

  constructor(options: DenyListOptions) {
    this.#options = options;
    this.#loaded.promise.catch(() => undefined);
  }

  /** The list that decides; undefined until there is one. */
  get live(): ListState | undefined {
    return this.#live;
  }

  /** Whether what is held cannot be the authority's list, so that it must be loaded anew. */
  get isSuspect(): boolean {
    return this.#isSuspect;
  }

  /** How it differed from the authority's when that was looked at last. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  get kept(): DenyTable {
    return this.#kept;
  }

  /** That the authority has gone back behind what is held here; undefined where it has not. */
  get alarm(): string | undefined {
    const { size } = this.#kept;
    if (size === 0) return undefined;
    return `deny list: its authority has lost denials that were in force (restored from a backup?): ${size} are kept here`;
  }

  /** Whether a key is denied at `now` (Unix seconds). */
  denies(key: string, now: number): boolean {
    return this.#live?.table.has(key, now) === true || this.#kept.has(key, now);
  }

  /** A list out of a file that must not decide, which a lower one of the authority is held against. */
  remember(former: ListState): void {
    this.#former = former;
  }

  /** What was kept before the last stop. */
  keep(kept: DenyTable): void {
    this.#kept = kept;
  }

  /** Number that the list has to come to. */
  get wanted(): number {
    return Math.max(this.#live?.highest ?? 0, this.freshness.head);
  }

  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  seconds(): number {
    return Math.floor(this.#options.now() / 1000);
  }

  change(change: DenyChange): void {
    const live = this.#live;
    if (live === undefined) return;
    if (live.contradicts(change)) this.#doubt(change.number);
    else if (change.number > live.number)
      for (const key of [...change.lift, ...change.add.map((added) => added.key)]) this.#kept.lift(key);
    const keys = this.#isSuspect ? live.deny(change) : live.offer(change);
    this.freshness.heard(change.number);
    this.freshness.applied(live.number);
    const now = this.seconds();
    this.#options.sessions.endDenied(keys.filter((key) => this.denies(key, now)));
    if (this.#unchecked !== undefined && live.number >= this.#unchecked.number) this.digest(this.#unchecked);
  }

  head(head: DenyListHead): void {
    const said = this.freshness.headSaid(head, this.#live?.number ?? 0, this.#options.now());
    if (said === 'restored') this.#isSuspect = true;
  }

  /** Compares with what the authority says of its list; a list that differs is suspect from then on. */
  digest(said: DenyListDigest): void {
    const live = this.#live;
    this.#unchecked = undefined;
    if (live === undefined) return;
    if (said.horizon > this.seconds() + CLOCK_SKEW_SECONDS) {
      this.#options.log.warn(
        { horizon: said.horizon, now: this.seconds() },
        'deny list: the clock of its authority is ahead of this one, its purge is not followed',
      );
      return;
    }
    live.purge(said.horizon);
    this.#kept.purge(said.horizon);
    if (said.number > live.number) {
      this.#unchecked = said;
      return;
    }
    const isSound = live.table.size > READ_THROUGH_ENTRIES || live.table.isSound();
    const agrees = isSound ? live.agrees(said) : false;
    if (agrees === undefined) return;
    this.#mismatch = agrees
      ? undefined
      : `deny list: at change ${said.number} it differs from its authority's, and is loaded anew`;
    if (this.#mismatch === undefined) return;
    this.#isSuspect = true;
    this.#options.log.error(
      { number: said.number, entries: live.table.size, digest: live.table.digest, authority: said.digest },
      this.#mismatch,
    );
    this.#options.onMismatch?.(said.number);
  }

  /** Puts a list that was loaded from the authority into force; the request for it went out at `askedAt`. */
  replace(state: ListState, askedAt: number): void {
    this.#keepLost(state);
    this.#isSuspect = false;
    this.#former = undefined;
    this.freshness.loaded(state.number, askedAt);
    this.adopt(state);
    this.#options.log.info({ number: state.number, entries: state.table.size }, 'deny list: loaded');
  }

  /** Puts a list into force: every live session is checked again. */
  adopt(state: ListState): void {
    this.#live = state;
    const now = this.seconds();
    this.#options.sessions.recheck((key) => this.denies(key, now));
    this.#loaded.resolve();
  }

  /**
   * What is held and `state` lacks goes on being denied, where the authority has gone back or tells another history. A
   * list that is merely newer lacks what was lifted.
   */
  #keepLost(state: ListState): void {
    const before = this.#live ?? this.#former;
    const now = this.seconds();
    if (before !== undefined && (this.#isSuspect || state.number < before.number)) {
      const lost = before.table.minus(state.table, now);
      if (lost.size > 0) {
        this.#kept.load(lost.packed());
        const facts = { entries: lost.size, held: before.number, authority: state.number };
        this.#options.log.error(facts, 'deny list: its authority has gone back; what it lost is kept here');
        this.#options.onKept?.(lost.size);
      }
    }
    this.#kept = this.#kept.minus(state.table, now);
  }

  #doubt(number: number): void {
    if (!this.#isSuspect)
      this.#options.log.error(
        { number },
        'deny list: a change came twice with different contents, loading anew',
      );
    this.#isSuspect = true;
  }

  /** Whoever waits for a list waits no longer. */
  close(): void {
    this.#loaded.reject(new Error('deny list: closed before it was loaded'));
  }
}
