import type { SqlValue, Statement, StatementResult } from './statement.ts';
import type { UnitFailure } from './writer.ts';

/** A statement on its way to the writer thread: the number of its text, the changes it must make, its parameters. */
export type WireStatement = readonly [text: number, expectChanges: number | undefined, ...params: SqlValue[]];

/** A group on its way: what is copied between threads costs by its parts, so each text goes once and is numbered. */
export type WireGroup = {
  /** Texts that were not sent before, numbered on from those that were. */
  readonly texts: readonly string[];
  readonly units: readonly (readonly WireStatement[])[];
};

/** What came of a unit: for each statement its changes and its last row id, in one row; or why it failed. */
export type WireOutcome = readonly number[] | UnitFailure;

/** Numbers the texts of statements. */
export class WireEncoder {
  readonly #numbers = new Map<string, number>();

  encode(units: readonly (readonly Statement[])[]): WireGroup {
    const texts: string[] = [];
    const numberOf = (sql: string): number => {
      const known = this.#numbers.get(sql);
      if (known !== undefined) return known;
      const number = this.#numbers.size;
      this.#numbers.set(sql, number);
      texts.push(sql);
      return number;
    };
    return {
      units: units.map((unit) =>
        unit.map(({ sql, expectChanges, params = [] }) => [numberOf(sql), expectChanges, ...params] as const),
      ),
      texts,
    };
  }
}

/** The results of a unit that succeeded. */
export function resultsOf(row: readonly number[]): readonly StatementResult[] {
  return Array.from({ length: row.length / 2 }, (_, i) => ({
    changes: row[2 * i] ?? 0,
    lastInsertRowid: row[2 * i + 1] ?? 0,
  }));
}
