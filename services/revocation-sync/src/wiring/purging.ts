import type { Logger } from '@signet/service';
import { type Repetition, repeatedly } from '@signet/service';
import type { Ledger } from '../adapters/ledger.ts';
import { purgeEntries, trimChanges } from '../adapters/projection.ts';
import type { SteadyClock } from '../adapters/steady-clock.ts';
import type { Collections } from '../domain/records.ts';

const PURGE_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Drops what has expired, and changes that are too old, from the store; nothing while the clock cannot be trusted. */
export function purging(deps: {
  readonly ledger: Ledger;
  readonly collections: Collections;
  readonly clock: SteadyClock;
  readonly now: () => number;
  readonly log: Logger;
  /** How long changes are kept. */
  readonly logDays: number;
}): Repetition {
  const { ledger, collections, clock, now, log, logDays } = deps;
  return repeatedly(
    PURGE_MS,
    async () => {
      const jump = clock.jump();
      if (jump !== 0) {
        log.error(
          { jumpSeconds: Math.round(jump / 1000) },
          'deny list: the clock was set, nothing is purged until it is back or the process starts anew',
        );
        return;
      }
      const seconds = Math.floor(now() / 1000);
      const purged = await ledger.whileQuiet(() => purgeEntries(collections.entries, seconds));
      const trimmed = await trimChanges(collections, now() - logDays * DAY_MS);
      if (purged + trimmed > 0) log.info({ purged, trimmed }, 'deny list: purged');
    },
    (error) => log.warn({ err: error }, 'deny list: cannot be purged'),
  );
}
