import { DatabaseSync } from 'node:sqlite';
import { parentPort } from 'node:worker_threads';
import { StatementCache } from './statement-cache.ts';
import type { WireGroup, WireOutcome, WireStatement } from './wire.ts';

/** What a writer thread is started with. */
export type WriterSetup = { readonly path: string };

export type UnitFailure = {
  readonly code: 'constraint' | 'unexpected-changes' | 'invalid-statement' | 'unavailable';
  readonly message: string;
};

/** Primary result codes of SQLite after which the connection and the transaction go on as before. */
const STATEMENT_CODES = new Map<number, UnitFailure['code']>([
  [1, 'invalid-statement'],
  [18, 'invalid-statement'],
  [19, 'constraint'],
  [20, 'invalid-statement'],
  [25, 'invalid-statement'],
]);

function failureOf(error: unknown): UnitFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') {
    return { code: 'invalid-statement', message };
  }
  return { code: STATEMENT_CODES.get(error.errcode & 0xff) ?? 'unavailable', message };
}

class UnexpectedChanges extends Error {}

/** Runs groups of units, each group one transaction, each unit a savepoint in it. */
export class Writer {
  readonly #connection: DatabaseSync;
  readonly #statements: StatementCache;
  readonly #texts: string[] = [];

  constructor(setup: WriterSetup) {
    this.#connection = new DatabaseSync(setup.path, { timeout: 5000 });
    this.#connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    this.#statements = new StatementCache(this.#connection);
  }

  /** Either every outcome stands on the disk, or all units fail with `unavailable`. */
  commit({ texts, units }: WireGroup): WireOutcome[] {
    this.#texts.push(...texts);
    try {
      this.#run('BEGIN IMMEDIATE');
      const outcomes = units.map((unit) => this.#attempt(unit));
      this.#run('COMMIT');
      return outcomes;
    } catch (error) {
      this.#rollBack();
      const message = error instanceof Error ? error.message : String(error);
      return units.map(() => ({ code: 'unavailable', message }));
    }
  }

  /** A disk that failed may fail this too; SQLite has then rolled back itself, or does at the next BEGIN. */
  #rollBack(): void {
    try {
      if (this.#connection.isTransaction) this.#run('ROLLBACK');
    } catch {
      // the group fails with what it failed with first
    }
  }

  close(): void {
    this.#connection.close();
  }

  #attempt(unit: readonly WireStatement[]): WireOutcome {
    this.#run('SAVEPOINT unit');
    try {
      const results = unit.flatMap((statement) => this.#execute(statement));
      this.#run('RELEASE unit');
      return results;
    } catch (error) {
      const failure: UnitFailure =
        error instanceof UnexpectedChanges
          ? { code: 'unexpected-changes', message: error.message }
          : failureOf(error);
      if (failure.code === 'unavailable') throw error;
      this.#run('ROLLBACK TO unit');
      this.#run('RELEASE unit');
      return failure;
    }
  }

  /** @returns changes and last row id */
  #execute([text, expectChanges, ...params]: WireStatement): readonly [number, number] {
    const sql = this.#texts[text] ?? '';
    const { changes, lastInsertRowid } = this.#statements.prepare(sql).run(...params);
    if (expectChanges !== undefined && Number(changes) !== expectChanges) {
      throw new UnexpectedChanges(`${changes} rows changed where ${expectChanges} were expected: ${sql}`);
    }
    return [Number(changes), Number(lastInsertRowid)];
  }

  #run(sql: string): void {
    this.#statements.prepare(sql).run();
  }
}

/** Commits what the other thread sends, group by group, until it says `close`. */
export function serveGroups(writer: Writer): void {
  parentPort?.on('message', (group: WireGroup | 'close') => {
    if (group === 'close') {
      writer.close();
      parentPort?.close();
    } else {
      parentPort?.postMessage(writer.commit(group));
    }
  });
}
