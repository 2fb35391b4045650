import { createHash } from 'node:crypto';
import type { DenyChange } from '@signet/contracts';
import type { DenyTable } from './deny-table.ts';
import type { DenyListDigest } from './source.ts';

/** Digests, and changes, that are remembered by number. */
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
  /** What the last changes said. */
  readonly #contents = new Map<number, string>();

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

  /** Whether a change of that number came before and said something else: it is one of another history. */
  contradicts(change: DenyChange): boolean {
    const known = this.#contents.get(change.number);
    return known !== undefined && known !== contentOf(change);
  }

  /** Denies what a change adds, whatever its number. */
  deny(change: DenyChange): readonly string[] {
    this.#deny(change);
    return change.add.map(({ key }) => key);
  }

  /** @returns the keys that this change denies; none if it was known */
  offer(change: DenyChange): readonly string[] {
    if (change.number <= this.#number || this.#early.has(change.number)) return [];
    this.#highest = Math.max(this.#highest, change.number);
    this.#early.set(change.number, change);
    this.#contents.set(change.number, contentOf(change));
    forgetOldest(this.#contents);
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
    forgetOldest(this.#digests);
  }
}

function contentOf({ add, lift }: DenyChange): string {
  const said = [add.map(({ key, expiresAt }) => [key, expiresAt]), lift];
  return createHash('sha256').update(JSON.stringify(said)).digest('base64');
}

function forgetOldest(remembered: Map<number, string>): void {
  if (remembered.size <= REMEMBERED) return;
  const [oldest] = remembered.keys();
  if (oldest !== undefined) remembered.delete(oldest);
}
