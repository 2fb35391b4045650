import type { Bus } from '@signet/bus';
import type { Logger } from '@signet/service';

/** What an event missed is made good by. */
const REFRESH_MS = 30_000;

/** Calls `refresh` whenever a CA was made or changed, by whichever replica, and every half minute. */
export async function followAuthorities(
  bus: Pick<Bus, 'tail'>,
  refresh: () => Promise<void>,
  log: Logger,
): Promise<AsyncDisposable> {
  const take = () =>
    refresh().catch((error: unknown) => log.warn({ err: error }, 'authorities: cannot be read now'));
  const tail = await bus.tail({ types: ['CA_CREATED', 'CA_CHANGED'], from: 'new' }, take);
  const timer = setInterval(take, REFRESH_MS);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await tail[Symbol.asyncDispose]();
    },
  };
}
