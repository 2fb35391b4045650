import { MongoServerError } from 'mongodb';
import { StoreError } from '../store-error.ts';

const DUPLICATE_KEY = 11000;
const INTERNAL_ERROR = 1;

export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** FerretDB answers so when a replacement or a new index violates uniqueness; MongoDB does not. */
export function isInternalError(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === INTERNAL_ERROR;
}

/** What a store says when its server fails. */
export function storeErrorOf(cause: unknown, closed: boolean): StoreError {
  if (closed) return new StoreError('closed', 'the store is closed', { cause });
  return new StoreError('unavailable', cause instanceof Error ? cause.message : String(cause), { cause });
}
