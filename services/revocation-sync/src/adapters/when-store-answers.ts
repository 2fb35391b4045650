import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '@signet/service';
import { StoreError } from '@signet/store';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5000;

/** Does `work`, again and again while the store is away; whatever else it fails with passes through. */
export async function whenStoreAnswers<T>(work: () => Promise<T>, log: Logger): Promise<T> {
  for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'unavailable') throw error;
      log.warn({ err: error, retryMs }, 'deny list: waiting for the store');
      await pause(retryMs);
    }
  }
}
