import type { DenyListHead } from './source.ts';

/** How long only heads below one that was heard before may come, until that one is taken for gone: three heads. */
const LOWER_HEADS_MS = 15_000;

/**
 * What the authority's heads say about the list held here. Times are Unix ms. Nothing may be missing at `asOf`; a list
 * out of a cache has the `asOf` of that cache until the authority is heard.
 */
export class Freshness {
  #head = 0;
  #headAt = Number.NEGATIVE_INFINITY;
  #asOf = Number.NEGATIVE_INFINITY;
  #contactAt: number | undefined;
  #lowerSince: number | undefined;

  /** The number of the authority's last change, as far as it is known. */
  get head(): number {
    return this.#head;
  }

  get asOf(): number {
    return this.#asOf;
  }

  /** Whether the authority was heard since the start. */
  get inContact(): boolean {
    return this.#contactAt !== undefined;
  }

  cached(number: number, asOf: number): void {
    this.#head = number;
    this.#asOf = asOf;
  }

  /** A list up to `number` was loaded; the request for it went out at `askedAt`. */
  loaded(number: number, askedAt: number): void {
    if (this.#lowerSince !== undefined) this.#head = number;
    this.#lowerSince = undefined;
    this.#head = Math.max(this.#head, number);
    this.#headAt = Math.max(this.#headAt, askedAt);
    this.#contactAt ??= askedAt;
    if (number >= this.#head) this.#asOf = Math.max(askedAt, this.#asOf);
  }

  /** The list holds all changes up to `number`. */
  applied(number: number): void {
    if (number > this.#head) this.#head = number;
    else if (number === this.#head) this.#asOf = Math.max(this.#asOf, this.#headAt);
  }

  /** A change beyond the list was heard. */
  heard(number: number): void {
    this.#head = Math.max(this.#head, number);
  }

  /**
   * The authority said its head; `number` is what the list holds. One that owes denials speaks for the time before it
   * owed them: while all replicas owe, the list grows old as it does without heads.
   * @returns 'restored' if the authority has gone back behind what it had said: the list must be loaded anew
   */
  headSaid({ number: head, owedMs }: DenyListHead, number: number, now: number): 'restored' | undefined {
    this.keepTime(now);
    this.#headAt = Math.max(this.#headAt, now - owedMs);
    this.#contactAt ??= now;
    if (head < this.#head) {
      this.#lowerSince ??= now;
      return now - this.#lowerSince >= LOWER_HEADS_MS ? 'restored' : undefined;
    }
    this.#lowerSince = undefined;
    this.#head = head;
    this.applied(number);
    return undefined;
  }

  /**
   * Notes that the clock was set back: what was heard in its future is taken for heard now, so that a list that goes
   * without word is told stale one bound after that, and not when the clock has come there again.
   */
  keepTime(now: number): void {
    this.#headAt = Math.min(this.#headAt, now);
    this.#asOf = Math.min(this.#asOf, now);
    if (this.#contactAt !== undefined) this.#contactAt = Math.min(this.#contactAt, now);
    if (this.#lowerSince !== undefined) this.#lowerSince = Math.min(this.#lowerSince, now);
  }

  /** Behind: no head for `bound` ms, or a head beyond `number`. */
  isBehind(number: number, now: number, bound: number): boolean {
    this.keepTime(now);
    return number < this.#head || now - this.#headAt > bound;
  }

  /** How long ago nothing was missing, in ms. */
  lag(now: number): number {
    this.keepTime(now);
    return Math.max(0, now - this.#asOf);
  }

  /** Whether the list is too old: `cacheBound` holds until the authority is heard, then `bound` does. In ms. */
  isStale(now: number, bound: number, cacheBound: number): boolean {
    this.keepTime(now);
    if (this.#contactAt === undefined) return now - this.#asOf > cacheBound;
    return now - Math.max(this.#asOf, this.#contactAt) > bound;
  }
}
