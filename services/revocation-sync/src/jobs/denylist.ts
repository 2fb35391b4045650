import { type Repetition, repeatedly } from '@signet/service';
import type { Context } from '../context.ts';
import { countWaiting } from '../domain/denylist/revocations.ts';
import { announceDigest, announceHead } from '../domain/ledger/replication.ts';
import { purgeDenyList, purgeTable, saveProgress } from '../domain/ledger/upkeep.ts';

const HEAD_MS = 5000;
const DIGEST_MS = 60_000;
const PURGE_MS = 3_600_000;

/** The head is sent only once the store has confirmed it: a replica cut off from its store claims nothing. */
export function sendHeads(ctx: Context): Repetition {
  const { ledger, debt, log } = ctx;
  return repeatedly(
    HEAD_MS,
    async () => {
      await ledger.catchUp();
      await debt
        .look(() => countWaiting(ctx))
        .catch((error: unknown) =>
          log.warn({ err: error }, 'deny list: failed to count the revocations that wait in the stream'),
        );
      announceHead(ctx, ledger.number);
      await saveProgress(ctx);
    },
    (error) => log.warn({ err: error }, 'deny list: failed to read its changes'),
  );
}

/** Says what the list comes to, once it holds nothing that has expired. */
export function sendDigests(ctx: Context): Repetition {
  return repeatedly(
    DIGEST_MS,
    async () => {
      purgeTable(ctx);
      await announceDigest(ctx);
    },
    (error) => ctx.log.warn({ err: error }, 'deny list: failed to send its digest'),
  );
}

export function purgeExpired(ctx: Context): Repetition {
  return repeatedly(
    PURGE_MS,
    () => purgeDenyList(ctx),
    (error) => ctx.log.warn({ err: error }, 'deny list: failed to purge what has expired'),
  );
}
