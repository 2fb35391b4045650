import type { Bus } from '@signet/bus';
import { DENYLIST_DIGEST_SUBJECT } from '@signet/contracts';
import { parseDigest } from '@signet/denylist';
import type { Health, Logger, Metrics } from '@signet/service';
import { type Repetition, repeatedly } from '@signet/service';
import type { Ledger } from '../adapters/ledger.ts';
import { purgeHorizon } from '../adapters/projection.ts';
import type { SteadyClock } from '../adapters/steady-clock.ts';
import { sendDigest } from '../messaging/head.ts';

const DIGEST_MS = 60_000;

/**
 * Says what the list comes to once a minute, and compares itself with what other replicas of the authority say: one that
 * differs makes its table anew of the store, and tells of it.
 */
export async function keepDigest(deps: {
  readonly bus: Bus;
  readonly ledger: Ledger;
  readonly clock: SteadyClock;
  readonly now: () => number;
  readonly log: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
}): Promise<AsyncDisposable> {
  const { bus, ledger, clock, now, log, health, metrics } = deps;
  await using stack = new AsyncDisposableStack();
  let mismatch: string | undefined;
  const mismatches = metrics.counter<Record<string, never>>(
    'signet_denylist_authority_mismatches_total',
    'Times that two replicas of the deny list authority were found to differ',
  );
  stack.use(
    await bus.listen(DENYLIST_DIGEST_SUBJECT, ({ payload }) => {
      const said = parseDigest(payload);
      const agrees = said === undefined ? undefined : ledger.agrees(said);
      if (agrees === undefined) return;
      mismatch = agrees
        ? undefined
        : `deny list: at change ${said?.number} two replicas of its authority differ`;
      if (mismatch === undefined) return;
      mismatches.add({});
      log.error({ said, own: ledger.digest }, mismatch);
      ledger.reload().catch((error: unknown) => log.error({ err: error }, 'deny list: cannot be made anew'));
    }),
  );
  stack.use(
    health.register('revocation-sync.digest', () =>
      mismatch === undefined ? undefined : { warning: mismatch },
    ),
  );
  const saying: Repetition = stack.use(
    repeatedly(
      DIGEST_MS,
      async () => {
        const jump = clock.jump();
        if (jump === 0) ledger.purge(purgeHorizon(now()));
        await sendDigest(bus, ledger.digest);
      },
      (error) => log.warn({ err: error }, 'deny list: cannot say its digest'),
    ),
  );
  stack.use(health.register('revocation-sync.digest-sent', () => warningOf(saying.failure())));
  const rest = stack.move();
  return { [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

function warningOf(reason: string | undefined) {
  return reason === undefined ? undefined : { warning: reason };
}
