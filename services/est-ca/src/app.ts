import { type DeviceServiceDeps, followAccounts, type RunningService, whenAvailable } from '@signet/service';
import { openCollections } from './adapters/collections.ts';
import type { EstCaConfig } from './config.ts';
import { readAuthorities } from './domain/authority/read-authorities.ts';
import type { AuthorityRing } from './domain/authority/ring.ts';
import type { ServedCrls } from './domain/crl/served-crl.ts';
import { purge } from './domain/retention/purge.ts';
import { consumeDeviceEvents } from './messaging/device-events.ts';
import { serveOperations } from './messaging/operations.ts';
import { serveRegistrations } from './messaging/registrations.ts';
import { watchExpiry } from './messaging/watch-expiry.ts';
import { watchRetention } from './messaging/watch-retention.ts';
import { openAuthorities } from './wiring/authorities.ts';
import { watchAuthorityEnds } from './wiring/authority-ends.ts';
import { keepCrls } from './wiring/crls.ts';
import { enrollmentDeps } from './wiring/enrollment.ts';
import { startEst } from './wiring/est-listener.ts';
import { serveHandedOver } from './wiring/hand-over.ts';
import { operationsOf } from './wiring/operations.ts';
import { startPublicFiles } from './wiring/public-files.ts';
import { watchReplacements } from './wiring/replacements.ts';

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
  const crls = Promise.withResolvers<ServedCrls>();
  const opened = Promise.withResolvers<AuthorityRing>();
  const files = stack.use(
    await startPublicFiles(config, deps, { ...collections, ring: opened.promise, crls: crls.promise }),
  );
  const { urls } = files;
  const { keys, ring } = stack.use(await openAuthorities(config, deps, { ...collections, urls }));
  stack.use(await watchAuthorityEnds(config, deps, { ...collections, keys, ring, urls }));
  opened.resolve(ring);
  crls.resolve(stack.use(await keepCrls(config, deps, { ...collections, ring, urls })).served);

  const enrollment = enrollmentDeps(config, deps, { ...collections, ring, urls });
  const { findProfile } = enrollment;
  const operations = operationsOf(config, deps, { ...collections, keys, ring, urls, findProfile });
  stack.use(await serveOperations(bus, operations));
  stack.use(await serveRegistrations(bus, { ...collections, ...enrollment, ring }));
  stack.use(await serveHandedOver(config, deps, { ...collections, enrollment, ring }));
  const statements = collections.usedStatements;
  stack.use(await watchReplacements(deps, { ...collections, statements, keys, urls, now }));
  stack.use(
    watchRetention(
      () =>
        purge(
          {
            ...collections,
            statements: collections.usedStatements,
            readAuthorities: () => readAuthorities(collections.authorities),
          },
          now(),
        ),
      log,
    ),
  );
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
  await admission.trust
    .refresh()
    .catch((error: unknown) =>
      log.warn({ err: error }, 'start: CAs are pinned later, the bus does not answer'),
    );

  const { issueServerCertificate } = operations;
  const est = stack.use(await startEst(config, deps, { ...collections, enrollment, issueServerCertificate }));

  const running = stack.move();
  return {
    estPort: est.port,
    httpPort: files.port,
    ports: { est: est.port, http: files.port },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
