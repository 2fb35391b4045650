import type { SqliteDatabase } from '@signet/sqlite';
import { EVENT_LOG_DDL } from '@signet/sqlite';
import { DocumentStore, type Engine, type StoreOptions } from '../document-store.ts';
import type { Publish, Store } from '../store.ts';
import { sqliteSchema } from './schema.ts';
import { SqliteTable } from './sqlite-table.ts';

/** Where the events of a SQLite store go: into the event log of the same file, or over outboxes to a bus. */
export type SqliteStoreOptions = Omit<StoreOptions, 'publish'> & {
  readonly database: SqliteDatabase;
  /** Closes the database with the store. */
  readonly ownsDatabase?: boolean;
} & ({ readonly eventLog: true } | { readonly eventLog?: false; readonly publish: Publish });

/** @throws SqliteError `unavailable` */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { database, ownsDatabase = false, eventLog = false, ...rest } = options;
  if (eventLog) await database.write(EVENT_LOG_DDL);
  const engine: Engine = {
    schema: sqliteSchema(database),
    table: (name) => new SqliteTable(database, name, { eventLog }),
    failure: () => database.failure(),
    [Symbol.asyncDispose]: async () => {
      if (ownsDatabase) await database[Symbol.asyncDispose]();
    },
  };
  return new DocumentStore(engine, rest);
}
