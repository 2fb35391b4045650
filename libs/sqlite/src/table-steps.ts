import type { SqliteDatabase } from './database.ts';
import { stepsAhead } from './schema-steps.ts';
import { SqliteError, type Statement } from './statement.ts';

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

/** Records that a step of a component is done, in a table of its own: `store_schema`. */
export function recordStep(component: string, number: number, name: string): readonly Statement[] {
  return [
    CREATE,
    {
      sql: 'INSERT INTO store_schema (component, number, name) VALUES (?, ?, ?)',
      params: [component, number, name],
    },
  ];
}

/** Names of the steps that a component has behind it in this file; none before the first. @throws SqliteError */
export function doneSteps(database: SqliteDatabase, component: string): readonly string[] {
  const [table] = database.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'store_schema'");
  if (table === undefined) return [];
  return database
    .read('SELECT name FROM store_schema WHERE component = ? ORDER BY number', [component])
    .map(({ name }) => String(name));
}

/**
 * Makes tables, and brings those of an earlier release to what this one uses. `base` makes what is missing of the first
 * release; each step after it takes place once, whoever opens the file at the same time.
 * @throws SqliteError `newer-schema` where a later release has changed them
 */
export async function applyTableSteps(
  database: SqliteDatabase,
  component: string,
  { base, steps }: { readonly base: readonly Statement[]; readonly steps: readonly TableStep[] },
): Promise<void> {
  const names = steps.map(({ name }) => name);
  const done = doneSteps(database, component);
  const ahead = stepsAhead(component, names, done, (message) => new SqliteError('newer-schema', message));
  await database.write(base);
  for (const { number, name } of ahead) {
    try {
      await database.write([
        ...recordStep(component, number, name),
        ...(steps[number - 1]?.statements ?? []),
      ]);
    } catch (error) {
      const byAnother = error instanceof SqliteError && doneSteps(database, component)[number - 1] === name;
      if (!byAnother) throw error;
    }
  }
}
