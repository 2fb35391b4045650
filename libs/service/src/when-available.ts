import { setTimeout as sleep } from 'node:timers/promises';
import { BusError } from '@signet/bus';
import { StoreError } from '@signet/store';
import type { Logger } from './logger.ts';
import { backoffMs } from './pause.ts';
import { isStorageFailure } from './storage-failure.ts';

/** Whether this is what store, bus and disk fail with while they do not answer. */
export function isAway(error: unknown): boolean {
  if (isStorageFailure(error)) return true;
  return (error instanceof StoreError || error instanceof BusError) && error.code === 'unavailable';
}

/**
 * Repeats a step of a service's start, with backoff and a line of log each time, for as long as store or bus is away.
 * Any other failure passes through.
 */
export async function whenAvailable<T>(log: Logger, step: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await step();
    } catch (error) {
      if (!isAway(error)) throw error;
      log.warn({ err: error, tries }, 'start: store or bus is away, trying again');
      await sleep(backoffMs(tries, 200, 10_000));
    }
  }
}
