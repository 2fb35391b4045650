import type { SqliteError } from '@signet/sqlite';
import { StoreError } from '../store-error.ts';

/** What a store says when its database fails. */
export function storeErrorOf(cause: SqliteError): StoreError {
  return new StoreError(cause.code === 'closed' ? 'closed' : 'unavailable', cause.message, { cause });
}
