import { BackendError } from '@signet/contracts';

export type SqlValue = null | number | bigint | string | Uint8Array;

export type Row = Readonly<Record<string, SqlValue>>;

export type Statement = {
  readonly sql: string;
  readonly params?: readonly SqlValue[];
  /** The unit fails with `unexpected-changes` if the statement changes another number of rows. */
  readonly expectChanges?: number;
};

export type StatementResult = { readonly changes: number; readonly lastInsertRowid: number };

export type SqliteErrorCode =
  | 'constraint'
  | 'unexpected-changes'
  | 'invalid-statement'
  | 'newer-schema'
  | 'unavailable'
  | 'closed';

/**
 * What a database fails with: `constraint` (unique, not null, …), `unexpected-changes` (see {@link Statement}),
 * `invalid-statement`, `newer-schema` (a later release has changed a table), `unavailable` (disk full, locked by another
 * process, I/O error), `closed`.
 */
export class SqliteError extends BackendError<SqliteErrorCode> {}
