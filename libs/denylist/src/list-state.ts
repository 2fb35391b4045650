import type { DenyChange } from '@signet/contracts';
import type { DenyTable } from './deny-table.ts';

/**
 * A table and the number of the last change in it. Changes may be offered in any order, any number of times. Those that
 * come too early wait; their denials act at once (denying a little early is safe), and again in their turn.
 */
export class ListState {
  readonly table: DenyTable;
  #number: number;
  #highest: number;
  readonly #early = new Map<number, DenyChange>();

  constructor(table: DenyTable, number: number) {
    this.table = table;
    this.#number = number;
    this.#highest = number;
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
    return change.add.map(({ key }) => key);
  }

  #deny(change: DenyChange): void {
    for (const { key, expiresAt } of change.add) this.table.add(key, expiresAt);
  }
}
