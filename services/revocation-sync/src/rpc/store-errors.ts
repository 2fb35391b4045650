import { OperationError } from '@signet/contracts';
import { StoreError, type StoreErrorCode } from '@signet/store';

/** What callers are told of the store's own trouble. */
const codes: Partial<Record<StoreErrorCode, string>> = { unavailable: 'unavailable', closed: 'unavailable' };

export async function withStoreErrors<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const code = error instanceof StoreError ? codes[error.code] : undefined;
    if (!(error instanceof StoreError) || code === undefined) throw error;
    throw new OperationError(code, `store: ${error.message}`, { cause: error });
  }
}
