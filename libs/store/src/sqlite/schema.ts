import { type SchemaRecords, stepsAhead } from '../schema/steps.ts';
import type { SqliteDatabase } from './database.ts';
import { SqliteError, type Statement } from './statement.ts';
import { storeErrorOf } from './store-error-of.ts';

/** A change of tables, with the statements that make it: one transaction with the record that it is done. */
export type TableStep = { readonly name: string; readonly statements: readonly Statement[] };

const CREATE: Statement = {
  sql: `CREATE TABLE IF NOT EXISTS store_schema (
    component TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (component, number)
  ) WITHOUT ROWID`,
};

function recordOf(component: string, number: number, name: string): Statement {
  return {
    sql: 'INSERT INTO store_schema (component, number, name) VALUES (?, ?, ?)',
    params: [component, number, name],
  };
}

/** The steps that a file has behind it, in a table of its own: `store_schema`. */
export function sqliteSchema(database: SqliteDatabase): SchemaRecords {
  return {
    async done(component) {
      try {
        return doneIn(database, component);
      } catch (error) {
        throw error instanceof SqliteError ? storeErrorOf(error) : error;
      }
    },
    async record(component, number, name) {
      try {
        await database.write([CREATE, recordOf(component, number, name)]);
      } catch (error) {
        if (!(error instanceof SqliteError)) throw error;
        if (error.code !== 'constraint') throw storeErrorOf(error);
      }
    },
  };
}

/**
 * Makes tables that are no collections, and brings those of an earlier release to what this one uses. `base` makes what
 * is missing of the first release; each step after it takes place once, whoever opens the file at the same time.
 * @throws StoreError `newer-schema` where a later release has changed them; SqliteError
 */
export async function applyTableSteps(
  database: SqliteDatabase,
  component: string,
  { base, steps }: { readonly base: readonly Statement[]; readonly steps: readonly TableStep[] },
): Promise<void> {
  const names = steps.map(({ name }) => name);
  const ahead = stepsAhead(component, names, doneIn(database, component));
  await database.write(base);
  for (const { number, name } of ahead) {
    try {
      await database.write([
        CREATE,
        recordOf(component, number, name),
        ...(steps[number - 1]?.statements ?? []),
      ]);
    } catch (error) {
      const byAnother = error instanceof SqliteError && doneIn(database, component)[number - 1] === name;
      if (!byAnother) throw error;
    }
  }
}

/** None before the first: the table is made with it. */
function doneIn(database: SqliteDatabase, component: string): readonly string[] {
  const [table] = database.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'store_schema'");
  if (table === undefined) return [];
  return database
    .read('SELECT name FROM store_schema WHERE component = ? ORDER BY number', [component])
    .map(({ name }) => String(name));
}
