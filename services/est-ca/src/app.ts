import { join } from 'node:path';
import {
  type DeviceServiceDeps,
  openConfiguredCertificate,
  type RunningService,
  startDeviceHttps,
  startPlainHttp,
  whenAvailable,
} from '@signet/service';
import { openCollections } from './adapters/collections.ts';
import { keyFolder } from './adapters/key-folder.ts';
import type { EstCaConfig } from './config.ts';
import { ensureHierarchy } from './domain/authority/ensure-hierarchy.ts';
import { liveRing } from './domain/authority/live-ring.ts';
import { caCertificates, readAuthorities } from './domain/authority/read-authorities.ts';
import { standingOf } from './domain/authority/ring.ts';
import { leafSigner, publicUrls } from './domain/certificate/leaf-signer.ts';
import { cachedCrls } from './domain/crl/crl-cache.ts';
import { publishCrl } from './domain/crl/publish-crl.ts';
import { enroll } from './domain/enrollment/enroll.ts';
import { reenroll } from './domain/enrollment/reenroll.ts';
import { profileFinder } from './domain/profile/find-profile.ts';
import { estRoutes } from './http/est/routes.ts';
import { fileRoutes } from './http/files/routes.ts';
import { announceOverBus } from './messaging/announce-key.ts';
import { authorityOperations } from './messaging/authority-operations.ts';
import { certificateOperations } from './messaging/certificate-operations.ts';
import { consumeDeviceEvents } from './messaging/device-events.ts';
import { followAuthorities } from './messaging/follow-authorities.ts';
import { grantOperations } from './messaging/grant-operations.ts';
import { serveOperations } from './messaging/operations.ts';
import { ownershipOperations } from './messaging/ownership-operations.ts';

/** A device waits for its renewal while the new key is announced. */
const ANNOUNCE_DEADLINE_MS = 5000;

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
  const { bus, door, health, log, metrics, now } = deps;
  const trustDomain = config.SIGNET_TRUST_DOMAIN;
  await using stack = new AsyncDisposableStack();

  const {
    authorities,
    authorityRequests,
    usedStatements,
    profiles,
    grants,
    renewals,
    certificates,
    crlStates,
  } = await whenAvailable(log, () => openCollections(deps.store));
  const keys = await keyFolder(join(config.SIGNET_DATA_DIR, 'est-ca', 'keys'));
  const held = await whenAvailable(log, () => ensureHierarchy({ authorities, keys, trustDomain, now }));
  const onLost = (id: string, error: unknown) =>
    log.error({ err: error, authorityId: id }, 'authorities: the key cannot be opened');
  const ring = liveRing({ authorities, keys, onLost }, held);
  stack.use(await followAuthorities(bus, ring.refresh, log));
  await whenAvailable(log, ring.refresh);
  const withinDays = config.SIGNET_EST_VALIDITY_DAYS * 2;
  stack.use(health.register('est-ca.keys', () => standingOf(ring, { now: now(), withinDays })));

  const crlDeps = {
    certificates,
    states: crlStates,
    lifetimeMs: config.SIGNET_EST_CRL_MINUTES * 60_000,
    now,
  };
  const crlOf = cachedCrls((authority) => publishCrl(crlDeps, authority), {
    ttlMs: config.SIGNET_EST_CRL_CACHE_SECONDS * 1000,
    now,
  });
  const files = stack.use(
    await startPlainHttp({
      port: config.SIGNET_EST_HTTP_PORT,
      host: config.SIGNET_BIND,
      log,
      routes: (app) => fileRoutes(app, { authorities, ring, crlOf }),
    }),
  );

  const [serverName = 'localhost'] = config.SIGNET_SERVER_NAMES;
  const signer = leafSigner(
    ring,
    publicUrls(config.SIGNET_EST_HTTP_URL ?? `http://${serverName}:${files.port}`),
  );
  const findProfile = profileFinder(profiles, { validityDays: config.SIGNET_EST_VALIDITY_DAYS });
  const announceNextKey = announceOverBus(bus, { deadlineMs: ANNOUNCE_DEADLINE_MS });
  const serverValidityDays = config.SIGNET_EST_SERVER_VALIDITY_DAYS;
  const lifetimeMs = config.SIGNET_EST_GRANT_MINUTES * 60_000;
  const operations = {
    ...authorityOperations({ authorities, ring, serverValidityDays, now }),
    ...grantOperations({ grants, authorities, findProfile, lifetimeMs, now }),
    ...certificateOperations({ certificates, now }),
    ...ownershipOperations({
      authorities,
      requests: authorityRequests,
      statements: usedStatements,
      keys,
      refresh: ring.refresh,
      now,
    }),
  };
  stack.use(await serveOperations(bus, operations));
  stack.use(await consumeDeviceEvents(bus, { grants, certificates, now }));
  await door.trust
    .refresh()
    .catch((error: unknown) =>
      log.warn({ err: error }, 'start: CAs are pinned later, the bus does not answer'),
    );

  const certificate = stack.use(
    await openConfiguredCertificate('est-ca', config, deps, { issue: operations.issueServerCertificate }),
  );
  const est = stack.use(
    await startDeviceHttps({
      port: config.SIGNET_EST_PORT,
      host: config.SIGNET_BIND,
      certificate,
      gate: door.gate({ listener: 'est', purposes: ['bootstrap', 'operational'], allowAnonymous: true }),
      log,
      refused: ({ message }) => ({ type: 'text/plain; charset=us-ascii', body: `${message}\n` }),
      routes: estRoutes({
        services: {
          enroll: (request) =>
            enroll({ grants, certificates, findProfile, signer, trustDomain, now }, request),
          reenroll: (request) =>
            reenroll({ renewals, certificates, findProfile, signer, announceNextKey, now }, request),
          caCertificates: async (account) =>
            caCertificates(await readAuthorities(authorities), account, now()),
          findProfile,
        },
        refusals: door.refusals,
        metrics,
        log,
      }),
    }),
  );

  const running = stack.move();
  return {
    estPort: est.port,
    httpPort: files.port,
    ports: { est: est.port, http: files.port },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
