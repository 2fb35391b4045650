import { type RunningService, type ServiceDeps, whenAvailable } from '@signet/service';
import { Ledger } from './adapters/ledger.ts';
import { noteProgress, purgeEntries, trimChanges } from './adapters/projection.ts';
import type { RevocationSyncConfig } from './config.ts';
import { type Collections, changeRecords, entryRecords, progressRecords } from './domain/records.ts';
import { headSender } from './messaging/head.ts';
import { serveOperators, serveReplicas } from './messaging/operations.ts';
import { repeatedly } from './messaging/repeatedly.ts';
import { consumeRevocations } from './messaging/revocations.ts';

const HEAD_MS = 5000;
const PURGE_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Starts the authority of the deny list. It listens on no port. */
export async function startRevocationSync(
  config: RevocationSyncConfig,
  deps: ServiceDeps,
): Promise<RunningService> {
  const { store, bus, log, now, health, metrics } = deps;
  await using stack = new AsyncDisposableStack();
  const collections: Collections = {
    changes: await store.collection(changeRecords),
    entries: await store.collection(entryRecords),
    progress: await store.collection(progressRecords),
  };
  const sendHead = headSender(bus, log);
  const open = () => Ledger.open(collections, { now, onNumber: sendHead });
  const ledger = await whenAvailable(log, open);
  const noteEntries = () => ledger.whileQuiet((number) => noteProgress(collections.progress, number));
  stack.defer(() =>
    noteEntries().catch((error: unknown) => log.warn({ err: error }, 'progress is not noted')),
  );
  stack.use(metrics.gauge('signet_denylist_entries', 'Entries of the deny list', () => ledger.table.size));
  stack.use(metrics.gauge('signet_denylist_number', 'Number of its last change', () => ledger.number));

  for (const subscription of [
    ...(await serveReplicas({ bus, ledger, collections, now })),
    ...(await serveOperators({ bus, ledger, collections, now })),
    ...(await consumeRevocations(bus, ledger, config.SIGNET_DENYLIST_KEEP_SECONDS)),
    await bus.tail({ types: ['DENYLIST_CHANGED'], from: 'new' }, async (event) => {
      if (event.type === 'DENYLIST_CHANGED' && event.data.number > ledger.number) await ledger.catchUp();
    }),
  ]) {
    stack.use(subscription);
  }

  // The head is said only once the store has confirmed it: a replica cut off from its store claims nothing.
  const head = stack.use(
    repeatedly(
      HEAD_MS,
      async () => {
        await ledger.catchUp();
        sendHead(ledger.number);
        await noteEntries();
      },
      (error) => log.warn({ err: error }, 'deny list: its changes cannot be read'),
    ),
  );
  stack.use(
    repeatedly(
      PURGE_MS,
      async () => {
        const seconds = Math.floor(now() / 1000);
        ledger.table.purge(seconds);
        const purged = await ledger.whileQuiet(() => purgeEntries(collections.entries, seconds));
        const trimmed = await trimChanges(collections, now() - config.SIGNET_DENYLIST_LOG_DAYS * DAY_MS);
        if (purged + trimmed > 0) log.info({ purged, trimmed }, 'deny list: purged');
      },
      (error) => log.warn({ err: error }, 'deny list: cannot be purged'),
    ),
  );
  stack.use(health.register('revocation-sync.ledger', () => head.failure()));
  log.info({ number: ledger.number, entries: ledger.table.size }, 'deny list: loaded');
  const rest = stack.move();
  return { ports: {}, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
