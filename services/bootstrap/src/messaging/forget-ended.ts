import { unchanged } from '@signet/store';
import type { Attempts, Notifications } from '../collections.ts';

const PAGE = 500;

/** An attempt that was never ended has been noted as failed long before. */
const KEPT_MS = 86_400_000;

/** Removes notifications that ended long ago, and attempts that were cut off. */
export async function forgetEnded(deps: {
  readonly notifications: Pick<Notifications, 'find' | 'remove'>;
  readonly attempts: Pick<Attempts, 'find' | 'remove'>;
  readonly now: () => number;
}): Promise<void> {
  for (const [collection, to] of [
    [deps.notifications, deps.now()],
    [deps.attempts, deps.now() - KEPT_MS],
  ] as const) {
    for (;;) {
      const { items } = await collection.find({ index: 'byEnd', to, limit: PAGE });
      await Promise.all(items.map((read) => collection.remove(read.id, unchanged(read))));
      if (items.length < PAGE) break;
    }
  }
}
