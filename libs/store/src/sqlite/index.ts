export { type CommitListener, type DatabaseOptions, openDatabase, type SqliteDatabase } from './database.ts';
export { type Appended, appendedBy, appendStatements, EVENT_LOG_DDL } from './event-log.ts';
export { applyTableSteps, type TableStep } from './schema.ts';
export { openSqliteStore, type SqliteStoreOptions } from './sqlite-store.ts';
export {
  type Row,
  SqliteError,
  type SqliteErrorCode,
  type SqlValue,
  type Statement,
  type StatementResult,
} from './statement.ts';
