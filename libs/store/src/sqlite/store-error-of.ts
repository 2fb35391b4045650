import { StoreError } from '../store-error.ts';
import type { SqliteError } from './statement.ts';

/** What a store says when its database fails. */
export function storeErrorOf(cause: SqliteError): StoreError {
  return new StoreError(cause.code === 'closed' ? 'closed' : 'unavailable', cause.message, { cause });
}
