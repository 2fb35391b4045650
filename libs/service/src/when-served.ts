import { retry } from '@signet/async';
import { OperationError } from '@signet/contracts';

/** Services start one after the other: for so long one that is asked may be on its way. */
const STARTING_MS = 5000;

/**
 * Asks another service, and goes on asking while nobody serves it yet: what a consumer has to catch up with at a start
 * is no complaint. Any other failure, and one that lasts, passes through.
 */
export async function whenServed<T>(ask: () => Promise<T>): Promise<T> {
  const late = performance.now() + STARTING_MS;
  return await retry(ask, {
    firstMs: 100,
    lastMs: 2000,
    onFailure(error) {
      const isUnserved = error instanceof OperationError && error.code === 'unavailable';
      if (!isUnserved || performance.now() > late) throw error;
    },
  });
}
