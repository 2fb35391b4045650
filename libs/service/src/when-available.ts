import { retry } from '@signet/async';
import { isUnavailable } from '@signet/contracts';
import type { Logger } from './logger.ts';

/**
 * Repeats a step of a service's start, with backoff and a line of log each time, for as long as store, bus or disk are
 * unavailable. Any other failure passes through.
 */
export async function whenAvailable<T>(log: Logger, step: () => Promise<T>): Promise<T> {
  return await retry(step, {
    firstMs: 200,
    lastMs: 10_000,
    onFailure(error, tries) {
      if (!isUnavailable(error)) throw error;
      log.warn({ err: error, tries }, 'start: store or bus is unavailable, trying again');
    },
  });
}
