import { tmpdir } from 'node:os';
import {
  openConfiguredAdmission,
  type RunningService,
  repeatedly,
  type ServiceDeps,
  whenAvailable,
} from '@signet/service';
import { crlExportFile } from './adapters/crl-export.ts';
import { crlFilesIn } from './adapters/crl-files.ts';
import { DeniedClients } from './adapters/mosquitto/denied-clients.ts';
import { serveNatsCallout } from './adapters/nats/nats-callout.ts';
import { openCollections } from './collections.ts';
import type { RevocationSyncConfig } from './config.ts';
import { consumeContacts } from './consumers/certificate-holders.ts';
import { consumeDeletions } from './consumers/deleted-accounts.ts';
import { consumeDenials } from './consumers/denylist.ts';
import type { Context } from './context.ts';
import { DeniedDevices } from './domain/brokers/denied-devices.ts';
import { DenialDebt } from './domain/ledger/denial-debt.ts';
import { Ledger } from './domain/ledger/ledger.ts';
import { announceHead } from './domain/ledger/replication.ts';
import { SteadyClock, saveProgress } from './domain/ledger/upkeep.ts';
import { fetchDueCrls } from './jobs/crl-sources.ts';
import { purgeExpired, sendDigests, sendHeads } from './jobs/denylist.ts';
import { keepCallout, keepCrlFile, keepMosquitto } from './jobs/outside-brokers.ts';
import { serveCrlSources } from './rpc/crl-sources.ts';
import { serveDenylist } from './rpc/denylist.ts';

const MEGABYTE = 1_048_576;

/** Starts the authority of the deny list. It listens on no port. */
export async function startRevocationSync(
  config: RevocationSyncConfig,
  deps: ServiceDeps,
): Promise<RunningService> {
  const { store, bus, log, now, health, metrics } = deps;
  await using stack = new AsyncDisposableStack();
  const collections = await openCollections(store);
  const debt = new DenialDebt();
  const onNumber = (number: number) => announceHead({ bus, debt, log }, number);
  const ledger = await whenAvailable(log, () => Ledger.open(collections, { now, onNumber }));
  const ctx: Context = {
    ...collections,
    ...{ bus, log, metrics, now, ledger, debt, repeat: repeatedly },
    clock: new SteadyClock(now),
    digestStatus: { mismatch: undefined },
    crlFiles: crlFilesIn(tmpdir(), {
      maxBytes: config.SIGNET_CRL_MAX_MEGABYTES * MEGABYTE,
      deadlineMs: config.SIGNET_CRL_FETCH_SECONDS * 1000,
      allowPrivate: config.SIGNET_OUTWARD_PRIVATE,
    }),
    staleSources: new Set(),
    externalCas: new Map(),
    keepSeconds: config.SIGNET_DENYLIST_KEEP_SECONDS,
    logDays: config.SIGNET_DENYLIST_LOG_DAYS,
  };
  stack.defer(() =>
    saveProgress(ctx).catch((error: unknown) =>
      log.warn({ err: error }, 'deny list: failed to save the progress of its entries'),
    ),
  );
  for (const serve of [serveDenylist, serveCrlSources])
    for (const subscription of await serve(ctx)) stack.use(subscription);
  for (const consume of [consumeDenials, consumeContacts, consumeDeletions])
    for (const subscription of await consume(ctx)) stack.use(subscription);
  const heads = stack.use(sendHeads(ctx));
  stack.use(fetchDueCrls(ctx));
  stack.use(await openOutsideBrokers(config, deps, ctx));
  const digests = stack.use(sendDigests(ctx));
  stack.use(purgeExpired(ctx));
  const { digestStatus, staleSources } = ctx;
  for (const registered of [
    metrics.gauge('signet_denylist_entries', 'Entries of the deny list', () => ledger.table.size),
    metrics.gauge('signet_denylist_number', 'Number of its last change', () => ledger.number),
    metrics.gauge(
      'signet_crl_sources_stale',
      'CRL sources whose list is past its end',
      () => staleSources.size,
    ),
    health.register('revocation-sync.ledger', () => heads.failure()),
    health.register('revocation-sync.digest', () => warningOf(digestStatus.mismatch)),
    health.register('revocation-sync.digest-sent', () => warningOf(digests.failure())),
    health.register('revocation-sync.crl-sources', () =>
      staleSources.size === 0
        ? undefined
        : { warning: `CRL sources past their end: ${[...staleSources].sort().join(', ')}` },
    ),
  ])
    stack.use(registered);
  log.info({ number: ledger.number, entries: ledger.table.size }, 'deny list: loaded');
  const rest = stack.move();
  return { ports: {}, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

/** Brokers that are not ours, where they are configured. */
async function openOutsideBrokers(
  config: RevocationSyncConfig,
  deps: ServiceDeps,
  ctx: Context,
): Promise<AsyncDisposable> {
  const { log, now, health } = deps;
  await using stack = new AsyncDisposableStack();
  if (config.SIGNET_CRL_EXPORT_FILE !== undefined) {
    const file = crlExportFile({
      file: config.SIGNET_CRL_EXPORT_FILE,
      url: config.SIGNET_CRL_EXPORT_URL,
      pidFile: config.SIGNET_CRL_EXPORT_PID_FILE,
      maxBytes: config.SIGNET_CRL_MAX_MEGABYTES * MEGABYTE,
    });
    const exporting = stack.use(await keepCrlFile(ctx, file));
    stack.use(health.register('revocation-sync.crl-export', () => warningOf(exporting.failure())));
  }
  const { SIGNET_NATS_CALLOUT_URL: url, SIGNET_NATS_CALLOUT_SEED: seed } = config;
  if (url !== undefined && seed !== undefined) {
    const admission = stack.use(await openConfiguredAdmission(config, deps));
    const serve = () =>
      serveNatsCallout({
        ...{ admission, url, seed, now, log },
        systemUrl: config.SIGNET_NATS_CALLOUT_SYSTEM_URL,
        account: config.SIGNET_NATS_CALLOUT_ACCOUNT,
        maxSessionMs: config.SIGNET_NATS_CALLOUT_SESSION_SECONDS * 1000,
      });
    const callout = stack.use(keepCallout(ctx, serve));
    stack.use(health.register('revocation-sync.nats-callout', () => callout.failure()));
  }
  if (config.SIGNET_MOSQUITTO_URL !== undefined) {
    const clients = stack.use(new DeniedClients(config.SIGNET_MOSQUITTO_URL));
    const devices = new DeniedDevices(ctx, { account: config.SIGNET_MOSQUITTO_ACCOUNT, clients });
    const mosquitto = stack.use(await keepMosquitto(ctx, devices));
    stack.use(health.register('revocation-sync.mosquitto', () => warningOf(mosquitto.failure())));
  }
  return stack.move();
}

function warningOf(reason: string | undefined) {
  return reason === undefined ? undefined : { warning: reason };
}
