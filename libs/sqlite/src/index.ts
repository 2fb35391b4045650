export { type CommitListener, openDatabase, type SqliteDatabase } from './database.ts';
export { type Appended, appendedBy, appendStatements, EVENT_LOG_DDL } from './event-log.ts';
export { newerStep, type SchemaStep, stepsAhead } from './schema-steps.ts';
export {
  type Row,
  SqliteError,
  type SqliteErrorCode,
  type SqlValue,
  type Statement,
  type StatementResult,
} from './statement.ts';
export { applyTableSteps, doneSteps, recordStep, type TableStep } from './table-steps.ts';
