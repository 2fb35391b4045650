import { doneSteps, recordStep, type SqliteDatabase, SqliteError } from '@signet/sqlite';
import type { SchemaRecords } from '../schema/steps.ts';
import { storeErrorOf } from './store-error-of.ts';

/** The steps that a file has behind it. */
export function sqliteSchema(database: SqliteDatabase): SchemaRecords {
  return {
    async done(component) {
      try {
        return doneSteps(database, component);
      } catch (error) {
        throw error instanceof SqliteError ? storeErrorOf(error) : error;
      }
    },
    async record(component, number, name) {
      try {
        await database.write(recordStep(component, number, name));
      } catch (error) {
        if (!(error instanceof SqliteError)) throw error;
        if (error.code !== 'constraint') throw storeErrorOf(error);
      }
    },
  };
}
