import type { Log } from '../documents/documents.ts';
import type { Ledger } from './ledger.ts';
import { noteProgress, purgeEntries, purgeHorizon, trimChanges } from './projection.ts';
import type { LedgerCollections } from './records.ts';

const DAY_MS = 86_400_000;

type UpkeepContext = LedgerCollections & {
  readonly ledger: Ledger;
  readonly clock: SteadyClock;
  readonly now: () => number;
  readonly log: Log;
  /** How long changes are kept. */
  readonly logDays: number;
};

/** Removes expired entries and old changes from the store; nothing while the clock cannot be trusted. */
export async function purgeDenyList(ctx: UpkeepContext): Promise<void> {
  const { ledger, entries, clock, now, log, logDays } = ctx;
  const jump = clock.jump();
  if (jump !== 0) {
    log.error(
      { jumpSeconds: Math.round(jump / 1000) },
      'deny list: the clock was set, nothing is purged until it is back or the process starts anew',
    );
    return;
  }
  const seconds = Math.floor(now() / 1000);
  const purged = await ledger.whileQuiet(() => purgeEntries(entries, seconds));
  const trimmed = await trimChanges(ctx, now() - logDays * DAY_MS);
  if (purged + trimmed > 0) log.info({ purged, trimmed }, 'deny list: purged');
}

/** Removes expired entries from the table, as all replicas do by the same hour; nothing while the clock cannot be trusted. */
export function purgeTable({ ledger, clock, now }: Pick<UpkeepContext, 'ledger' | 'clock' | 'now'>): void {
  if (clock.jump() === 0) ledger.purge(purgeHorizon(now()));
}

/** Stores how far the entries are: what the next start need not read again. */
export function saveProgress({
  ledger,
  progress,
}: Pick<UpkeepContext, 'ledger' | 'progress'>): Promise<void> {
  return ledger.whileQuiet((number) => noteProgress(progress, number));
}

/** How far wall clock and steady clock may part before the wall clock is taken for wrong. */
const TOLERANCE_MS = 3_600_000;

/**
 * Notices a wall clock that was set while this process runs. Nothing may be purged by one that jumped ahead: what it
 * takes for expired is gone for good. It is trusted again once it is back, or from the next start.
 */
export class SteadyClock {
  readonly #now: () => number;
  readonly #steady: () => number;
  readonly #ahead: number;

  /** Both in ms; `steady` never jumps. */
  constructor(now: () => number, steady: () => number = () => performance.now()) {
    this.#now = now;
    this.#steady = steady;
    this.#ahead = now() - steady();
  }

  /** By how many ms the wall clock has jumped; 0 within the tolerance. */
  jump(): number {
    const jump = this.#now() - this.#steady() - this.#ahead;
    return Math.abs(jump) > TOLERANCE_MS ? jump : 0;
  }
}
