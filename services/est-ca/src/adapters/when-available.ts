import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '@signet/service';
import { StoreError } from '@signet/store';

const FIRST_MS = 200;
const LAST_MS = 10_000;

/** Repeats a step of the start, with backoff, for as long as the store is away. Any other failure passes through. */
export async function whenAvailable<T>(log: Logger, step: () => Promise<T>): Promise<T> {
  for (let waitMs = FIRST_MS; ; waitMs = Math.min(waitMs * 2, LAST_MS)) {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'unavailable')) throw error;
      log.warn({ err: error, waitMs }, 'start: the store is away, trying again');
      await pause(waitMs);
    }
  }
}
