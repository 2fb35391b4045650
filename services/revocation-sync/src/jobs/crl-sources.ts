import { type Repetition, repeatedly } from '@signet/service';
import type { Context } from '../context.ts';
import { fetchSource, findDueSources } from '../domain/crl/sources.ts';
import { watchSources } from '../domain/crl/staleness.ts';
import { removeAbandonedPieces } from '../domain/crl/uploads.ts';

const TICK_MS = 1000;
/** Sources fetched at a time. */
const AT_ONCE = 8;

/** Fetches CRL sources that are due, and watches all of them for staleness. Stopping waits for what is being fetched. */
export function fetchDueCrls(ctx: Context): Pick<Repetition, 'failure'> & AsyncDisposable {
  const { log } = ctx;
  const running = new Map<string, Promise<unknown>>();
  const repetition = repeatedly(
    TICK_MS,
    async () => {
      for (const source of await findDueSources(ctx, AT_ONCE * 2)) {
        const { id } = source;
        if (running.has(id) || running.size >= AT_ONCE) continue;
        const work = fetchSource(ctx, source)
          .catch((error: unknown) => log.warn({ err: error, source: id }, 'CRL source: failed to fetch'))
          .finally(() => running.delete(id));
        running.set(id, work);
      }
      await watchSources(ctx);
      await removeAbandonedPieces(ctx);
    },
    (error) => log.warn({ err: error }, 'CRL sources: failed to look for due ones'),
  );
  return {
    failure: () => repetition.failure(),
    async [Symbol.asyncDispose]() {
      await repetition[Symbol.asyncDispose]();
      await Promise.allSettled(running.values());
    },
  };
}
