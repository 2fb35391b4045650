import { OperationError } from '@signet/contracts';
import { StoreError } from '@signet/store';

/** The store's own trouble, as callers know it. */
export async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === 'unavailable' || error.code === 'closed')
      throw new OperationError('unavailable', `store: ${error.message}`, { cause: error });
    throw error;
  }
}
