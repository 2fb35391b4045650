import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { serveAll } from '@signet/bus';
import {
  type DeviceServiceDeps,
  followAccounts,
  type RunningService,
  type ServiceDeps,
  whenAvailable,
} from '@signet/service';
import {
  guardKeyStores,
  guardPurposeKeys,
  type KeyStores,
  openKeyStores,
  purposeKeys,
} from './adapters/key-stores.ts';
import { type Collections, openCollections } from './collections.ts';
import type { EstCaConfig } from './config.ts';
import { eraseDeletedAccounts } from './consumers/accounts.ts';
import { followAuthorities, followStatus } from './consumers/authorities.ts';
import { consumeDeviceEvents } from './consumers/devices.ts';
import { listRevocations } from './consumers/revocations.ts';
import { enrollmentCtx, profileCtx } from './context.ts';
import { certifiedBy, readAuthorities } from './domain/authority/chains.ts';
import { ensureHierarchy } from './domain/authority/ensure-hierarchy.ts';
import {
  type IssuerRegistry,
  type RefreshedRegistry,
  refreshedRegistry,
  registryStatus,
} from './domain/authority/issuer-registry.ts';
import type { PublicUrls } from './domain/authority/revocation-urls.ts';
import { commandSigners } from './domain/commands/command-signers.ts';
import { crlFiles } from './domain/crl/crl-store.ts';
import { crlPublisher } from './domain/crl/publish-crl.ts';
import { rootCrlsDue } from './domain/crl/root-crl-status.ts';
import { type ServedCrls, servedCrls } from './domain/crl/served-crl.ts';
import { neededValidity } from './domain/profile/keep-profiles.ts';
import { purge } from './domain/retention/purge.ts';
import { startEst } from './http/est/est-listener.ts';
import { startPublicFiles } from './http/files/files-listener.ts';
import { watchAuthorityEnds } from './jobs/authority-ends.ts';
import { keepCrlsOnSchedule } from './jobs/crls.ts';
import { watchExpiry, watchRetention, watchRootCrls } from './jobs/periodic.ts';
import { watchReplacements } from './jobs/replacements.ts';
import { operations, operationsOf } from './rpc/operations.ts';

export type EstCaService = RunningService & {
  /** EST over HTTPS. */
  readonly estPort: number;
  /** CRLs and CA certificates over HTTP. */
  readonly httpPort: number;
};

/**
 * Starts the EST service: makes the platform's CAs if they are not there yet, then serves EST, CRLs, CA certificates
 * and the operations of `contracts`.
 */
export async function startEstCa(config: EstCaConfig, deps: DeviceServiceDeps): Promise<EstCaService> {
  const { bus, admission, log, now } = deps;
  if (config.SIGNET_EST_WORKERS > 1)
    log.warn('SIGNET_EST_WORKERS has no effect: est-ca runs as one process; run replicas of it instead');
  await using stack = new AsyncDisposableStack();

  const collections = await whenAvailable(log, () => openCollections(deps.store));
  const keysFor = (purpose: string) =>
    guardPurposeKeys(purposeKeys(keyFolderOf(config), purpose), deps.clock?.fault);

  // CA certificates name the port of CRLs and OCSP, so that it is opened before there are CAs
  const crls = Promise.withResolvers<ServedCrls>();
  const opened = Promise.withResolvers<IssuerRegistry>();
  const files = stack.use(
    await startPublicFiles(config, deps, {
      ...collections,
      registry: opened.promise,
      crls: crls.promise,
      responderKeys: keysFor('ocsp'),
    }),
  );
  const { urls } = files;
  stack.use(await followStatus(bus, files.answers));
  const { keys, registry } = stack.use(await openAuthorities(config, deps, { ...collections, urls }));
  const profiles = profileCtx(config, deps, { ...collections, registry });
  const parts = {
    ...{ ...collections, keys, registry, urls },
    neededValidity: (account: string) => neededValidity(profiles, account),
  };
  stack.use(await watchAuthorityEnds(config, deps, parts));
  opened.resolve(registry);
  crls.resolve(stack.use(await keepCrls(config, deps, parts)).served);

  const enrollment = enrollmentCtx(config, deps, parts);
  const implementations = operationsOf({
    ...{ ...enrollment, ...parts, bus, profileCtx: profiles },
    commandSignerOf: commandSigners({
      ...{ registry, now, keys: keysFor('commands') },
      trustDomain: config.SIGNET_TRUST_DOMAIN,
    }),
    settings: {
      serverValidityDays: config.SIGNET_EST_SERVER_VALIDITY_DAYS,
      serverAccount: config.SIGNET_EST_SERVER_ACCOUNT,
      grantMinutes: config.SIGNET_EST_GRANT_MINUTES,
      maxCasPerAccount: config.SIGNET_EST_ACCOUNT_CAS,
    },
  });
  stack.use(await serveAll(bus, operations, implementations));

  const statements = collections.usedStatements;
  stack.use(await watchReplacements(deps, { ...parts, statements, now }));
  const expired = {
    ...collections,
    statements,
    readAuthorities: () => readAuthorities(collections.authorities),
  };
  stack.use(watchRetention(() => purge(expired, now()), log));
  stack.use(
    watchExpiry({
      certificates: collections.certificates,
      notices: collections.expiryNotices,
      marks: collections.expiryMarks,
      days: config.SIGNET_EST_EXPIRING_DAYS,
      now,
      log,
    }),
  );
  stack.use(await consumeDeviceEvents(bus, { ...collections, now }));
  stack.use(await followAccounts(bus, 'est-ca', collections.accountStates));
  stack.use(await eraseDeletedAccounts(bus, collections, now));
  await admission.trust
    .refresh()
    .catch((error: unknown) =>
      log.warn({ err: error }, 'start: CAs are pinned later, the bus does not answer'),
    );

  const { issueServerCertificate } = implementations;
  const est = stack.use(await startEst(config, deps, { ...collections, enrollment, issueServerCertificate }));

  const running = stack.move();
  return {
    estPort: est.port,
    httpPort: files.port,
    ports: { est: est.port, http: files.port },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The CAs of this service and where their keys are. */
type OpenAuthorities = AsyncDisposable & { readonly keys: KeyStores; readonly registry: RefreshedRegistry };

/** The folder of keys in files. */
function keyFolderOf(config: Pick<EstCaConfig, 'SIGNET_DATA_DIR' | 'SIGNET_EST_KEY_DIR'>): string {
  return config.SIGNET_EST_KEY_DIR ?? join(config.SIGNET_DATA_DIR, 'est-ca', 'keys');
}

/** Opens the key stores, makes the platform's CAs if they are not there yet, and follows those on record. */
async function openAuthorities(
  config: EstCaConfig,
  { bus, clock, health, log, now }: ServiceDeps,
  { authorities, urls }: Pick<Collections, 'authorities'> & { readonly urls: PublicUrls },
): Promise<OpenAuthorities> {
  await using stack = new AsyncDisposableStack();
  const opened = await openKeyStores({
    folder: keyFolderOf(config),
    tokenUri: config.SIGNET_EST_PKCS11,
    pin: config.SIGNET_EST_PKCS11_PIN,
    custody: config.SIGNET_EST_KEYS,
  });
  const keys = stack.use(guardKeyStores(opened, clock?.fault));
  stack.use(health.register('est-ca.key-store', () => keys.failure()));
  const trustDomain = config.SIGNET_TRUST_DOMAIN;
  const held = await whenAvailable(log, () => ensureHierarchy({ authorities, keys, trustDomain, urls, now }));
  const onLost = (id: string, error: unknown) =>
    log.error({ err: error, authorityId: id }, 'authorities: the key cannot be opened');
  const registry = refreshedRegistry({ authorities, keys, now, onLost }, held);
  stack.use(await followAuthorities(bus, registry.refresh, log));
  await whenAvailable(log, registry.refresh);
  const withinDays = Math.min(config.SIGNET_EST_VALIDITY_DAYS * 2, 180);
  stack.use(health.register('est-ca.keys', () => registryStatus(registry, { now: now(), withinDays })));
  const rest = stack.move();
  return { keys, registry, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

type UpkeptCrls = AsyncDisposable & { readonly served: ServedCrls };

/** Keeps the CRLs up to date, after each revocation and on schedule, and gives them out. */
async function keepCrls(
  config: EstCaConfig,
  { bus, health, log, metrics, now }: ServiceDeps,
  parts: Pick<Collections, 'authorities' | 'certificates' | 'crlStates' | 'crlChunks' | 'uploadedCrls'> & {
    readonly registry: IssuerRegistry;
    readonly urls: PublicUrls;
  },
): Promise<UpkeptCrls> {
  const { authorities, certificates, registry, urls } = parts;
  await using stack = new AsyncDisposableStack();
  const store = { states: parts.crlStates, files: crlFiles(parts.crlChunks, now) };
  const publisher = crlPublisher({
    ...store,
    certificates,
    certifiedBy: async (id) => certifiedBy(id, await readAuthorities(authorities)),
    urls,
    lifetimeMs: config.SIGNET_EST_CRL_MINUTES * 60_000,
    deltaLifetimeMs: config.SIGNET_EST_CRL_DELTA_MINUTES * 60_000,
    newToken: randomUUID,
    now,
  });
  const served = servedCrls({
    ...store,
    publisher,
    ttlMs: config.SIGNET_EST_CRL_CACHE_SECONDS * 1000,
    now,
    onError: (error, scopeId) => log.warn({ err: error, scopeId }, 'CRL: could not be brought up to date'),
  });
  const healed = metrics.counter<Record<string, never>>(
    'signet_crl_entries_healed_total',
    'Entries that a comparison of CRLs and records put right',
  );
  const upkeep = {
    ...store,
    ...{ bus, certificates, publisher, registry, now, log },
    readAuthorities: () => readAuthorities(authorities),
    partitions: config.SIGNET_EST_CRL_PARTITIONS,
    onHealed: (entries: number, scopeId: string) => {
      healed.add({}, entries);
      log.warn({ entries, scopeId }, 'CRL: it differed from the records, and is put right');
    },
  };
  const schedule = stack.use(keepCrlsOnSchedule(upkeep));
  stack.use(await listRevocations(upkeep));
  stack.use(
    health.register('est-ca.crl', () => {
      const failure = schedule.failure();
      return failure === undefined ? undefined : { warning: `CRLs are not brought up to date: ${failure}` };
    }),
  );
  const rootCrls = stack.use(
    await watchRootCrls(
      bus,
      async () => rootCrlsDue(parts.uploadedCrls, await readAuthorities(authorities), now()),
      log,
    ),
  );
  stack.use(
    health.register('est-ca.root-crls', () => {
      const due = rootCrls.due();
      return due.length === 0 ? undefined : { warning: due.join('; ') };
    }),
  );
  const rest = stack.move();
  return { served, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
