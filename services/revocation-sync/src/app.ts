import { type RunningService, repeatedly, type ServiceDeps, whenAvailable } from '@signet/service';
import { Ledger } from './adapters/ledger.ts';
import { noteProgress } from './adapters/projection.ts';
import { SteadyClock } from './adapters/steady-clock.ts';
import type { RevocationSyncConfig } from './config.ts';
import { DenialDebt } from './domain/denial-debt.ts';
import { type Collections, changeRecords, entryRecords, progressRecords } from './domain/records.ts';
import { serveDeviceGroups } from './messaging/device-groups.ts';
import { followOwners } from './messaging/follow-owners.ts';
import { headSender } from './messaging/head.ts';
import { serveOperators } from './messaging/operators.ts';
import { serveReplicas } from './messaging/replicas.ts';
import { consumeRevocations, waitingRevocations } from './messaging/revocations.ts';
import { openCrlExport } from './wiring/crl-export.ts';
import { openCrlSources } from './wiring/crl-sources.ts';
import { keepDigest } from './wiring/digest.ts';
import { openMosquitto } from './wiring/mosquitto.ts';
import { openNatsCallout } from './wiring/nats-callout.ts';
import { purging } from './wiring/purging.ts';

const HEAD_MS = 5000;

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
  const { changes, entries } = collections;
  const debt = new DenialDebt();
  const sendHead = headSender(bus, () => debt.owedMs(), log);
  const open = () => Ledger.open(collections, { now, onNumber: sendHead });
  const ledger = await whenAvailable(log, open);
  const noteEntries = () => ledger.whileQuiet((number) => noteProgress(collections.progress, number));
  stack.defer(() =>
    noteEntries().catch((error: unknown) => log.warn({ err: error }, 'progress is not noted')),
  );
  stack.use(metrics.gauge('signet_denylist_entries', 'Entries of the deny list', () => ledger.table.size));
  stack.use(metrics.gauge('signet_denylist_number', 'Number of its last change', () => ledger.number));

  for (const subscription of [
    ...(await serveReplicas({ bus, ledger, changes })),
    ...(await serveOperators({ bus, ledger, entries, now })),
    ...(await serveDeviceGroups({ bus, ledger, now })),
    await followOwners(bus, ledger),
    ...(await consumeRevocations(bus, ledger, debt, config.SIGNET_DENYLIST_KEEP_SECONDS)),
    await bus.tail({ types: ['DENYLIST_CHANGED'], from: 'new' }, async (event) => {
      if (event.type === 'DENYLIST_CHANGED' && event.data.number > ledger.number) await ledger.catchUp();
    }),
  ]) {
    stack.use(subscription);
  }

  const cannotLook = (error: unknown) =>
    log.warn({ err: error }, 'deny list: it cannot be told what revocations wait in the stream');
  // The head is said only once the store has confirmed it: a replica cut off from its store claims nothing.
  const head = stack.use(
    repeatedly(
      HEAD_MS,
      async () => {
        await ledger.catchUp();
        await debt.look(() => waitingRevocations(bus)).catch(cannotLook);
        sendHead(ledger.number);
        await noteEntries();
      },
      (error) => log.warn({ err: error }, 'deny list: its changes cannot be read'),
    ),
  );
  stack.use(await openCrlSources(config, { ...deps, ledger }));
  stack.use(await openCrlExport(config, deps));
  stack.use(await openNatsCallout(config, deps));
  stack.use(await openMosquitto(config, { ...deps, ledger, collections }));
  const clock = new SteadyClock(now);
  stack.use(await keepDigest({ ...deps, ledger, clock }));
  stack.use(purging({ ledger, collections, clock, now, log, logDays: config.SIGNET_DENYLIST_LOG_DAYS }));
  stack.use(health.register('revocation-sync.ledger', () => head.failure()));
  log.info({ number: ledger.number, entries: ledger.table.size }, 'deny list: loaded');
  const rest = stack.move();
  return { ports: {}, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
