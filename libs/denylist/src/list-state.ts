import type { DenyChange } from '@signet/contracts';
import type { DenyTable } from './deny-table.ts';
import type { DenyListDigest } from './source.ts';

/** Digests that are remembered, by number. */
const REMEMBERED = 1024;

/**
 * A table and the number of the last change in it. Changes may be offered in any order, any number of times. Those that
 * come too early wait; their denials act at once (denying a little early is safe), and again in their turn.
 */
export class ListState {
  readonly table: DenyTable;
  #number: number;
  #highest: number;
  readonly #early = new Map<number, DenyChange>();
  /** What the table came to at numbers at which nothing was in it early. */
  readonly #digests = new Map<number, string>();

  constructor(table: DenyTable, number: number) {
    this.table = table;
    this.#number = number;
    this.#highest = number;
    this.#remember();
  }

  /** All changes up to this one are in the table. */
  get number(): number {
    return this.#number;
  }

  /** The greatest number offered; above {@link number} where there is a gap. */
  get highest(): number {
    return this.#highest;
  }

  /** @returns the keys that this change denies; none if it was known */
  offer(change: DenyChange): readonly string[] {
    if (change.number <= this.#number || this.#early.has(change.number)) return [];
    this.#highest = Math.max(this.#highest, change.number);
    this.#early.set(change.number, change);
    this.#deny(change);
    let lifted = false;
    for (;;) {
      const next = this.#early.get(this.#number + 1);
      if (next === undefined) break;
      this.#early.delete(next.number);
      for (const key of next.lift) lifted = this.table.lift(key) || lifted;
      this.#deny(next);
      this.#number = next.number;
    }
    if (lifted) for (const waiting of this.#early.values()) this.#deny(waiting);
    this.#remember();
    return change.add.map(({ key }) => key);
  }

  /** Drops what has expired by `horizon` (Unix seconds). */
  purge(horizon: number): void {
    if (horizon <= this.table.horizon) return;
    this.table.purge(horizon);
    this.#digests.clear();
    this.#remember();
  }

  /** Whether it is what the authority says; undefined where that cannot be told, as at a number not reached yet. */
  agrees({ number, horizon, digest }: DenyListDigest): boolean | undefined {
    const own = horizon === this.table.horizon ? this.#digests.get(number) : undefined;
    return own === undefined ? undefined : own === digest;
  }

  #deny(change: DenyChange): void {
    for (const { key, expiresAt } of change.add) this.table.add(key, expiresAt);
  }

  #remember(): void {
    if (this.#early.size > 0) return;
    this.#digests.set(this.#number, this.table.digest);
    if (this.#digests.size <= REMEMBERED) return;
    const [oldest] = this.#digests.keys();
    if (oldest !== undefined) this.#digests.delete(oldest);
  }
}
