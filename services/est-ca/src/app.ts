import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import {
  type DeviceServiceDeps,
  openConfiguredCertificate,
  type RunningService,
  startDeviceHttps,
  startPlainHttp,
  whenAvailable,
} from '@signet/service';
import { webhookCaller } from './adapters/ask-webhook.ts';
import { openCollections } from './adapters/collections.ts';
import { openKeyStores } from './adapters/key-stores.ts';
import { responderKeys } from './adapters/responder-keys.ts';
import type { EstCaConfig } from './config.ts';
import { countAdoption } from './domain/authority/anchor-adoption.ts';
import type { Authorities } from './domain/authority/authority.ts';
import { ensureHierarchy } from './domain/authority/ensure-hierarchy.ts';
import { giveAnchors } from './domain/authority/give-anchors.ts';
import { liveRing } from './domain/authority/live-ring.ts';
import { readAuthorities } from './domain/authority/read-authorities.ts';
import { type AuthorityRing, standingOf } from './domain/authority/ring.ts';
import { leafSigner, publicUrls } from './domain/certificate/leaf-signer.ts';
import { crlFiles } from './domain/crl/crl-files.ts';
import { crlPublisher } from './domain/crl/crl-publisher.ts';
import { type ServedCrls, servedCrls } from './domain/crl/served-crl.ts';
import { dryRunner } from './domain/enrollment/dry-run.ts';
import { enroll } from './domain/enrollment/enroll.ts';
import { reenroll } from './domain/enrollment/reenroll.ts';
import { AnswerCache } from './domain/ocsp/answer-cache.ts';
import { answerOcsp, type OcspDeps } from './domain/ocsp/answer-ocsp.ts';
import { issuersOnRecord } from './domain/ocsp/issuers.ts';
import { ocspResponders } from './domain/ocsp/responders.ts';
import { issuerOf } from './domain/profile/check-profile.ts';
import { profileFinder } from './domain/profile/find-profile.ts';
import { renewalInfo } from './domain/renewal/renewal-info.ts';
import { renewalPlanner } from './domain/renewal/renewal-planner.ts';
import { keyEnveloper } from './domain/server-keygen/envelop-key.ts';
import { serverKeygen } from './domain/server-keygen/server-keygen.ts';
import { estRoutes } from './http/est/routes.ts';
import { fileRoutes } from './http/files/routes.ts';
import { ocspHandler } from './http/ocsp/ocsp-handler.ts';
import { spiffeRoutes } from './http/spiffe/routes.ts';
import { announceOverBus } from './messaging/announce-key.ts';
import { authorityOperations } from './messaging/authority-operations.ts';
import { certificateOperations } from './messaging/certificate-operations.ts';
import { consumeDeviceEvents } from './messaging/device-events.ts';
import { findDeviceOverBus } from './messaging/find-device.ts';
import { followAuthorities } from './messaging/follow-authorities.ts';
import { followRevocations } from './messaging/follow-revocations.ts';
import { followStanding } from './messaging/follow-standing.ts';
import { grantOperations } from './messaging/grant-operations.ts';
import { serveOperations } from './messaging/operations.ts';
import { ownershipOperations } from './messaging/ownership-operations.ts';
import { profileOperations } from './messaging/profile-operations.ts';
import { renewalOperations } from './messaging/renewal-operations.ts';
import { requestOperations } from './messaging/request-operations.ts';
import { watchExpiry } from './messaging/watch-expiry.ts';

/** A device waits for its renewal while the new key is announced. */
const ANNOUNCE_DEADLINE_MS = 5000;
/** And while an owner's back end is asked, or its device is looked up. */
const WEBHOOK_DEADLINE_MS = 3000;
const FIND_DEVICE_DEADLINE_MS = 3000;
const RENEWAL_PLAN_MS = 600_000;

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
    anchorAdoptions,
    profiles,
    grants,
    grantUses,
    renewals,
    renewalGrants,
    expiryNotices,
    expiryMarks,
    secretUses,
    requests,
    certificates,
    crlStates,
    crlChunks,
  } = await whenAvailable(log, () => openCollections(deps.store));
  const keys = stack.use(
    await openKeyStores({
      folder: join(config.SIGNET_DATA_DIR, 'est-ca', 'keys'),
      tokenUri: config.SIGNET_EST_PKCS11,
      pin: config.SIGNET_EST_PKCS11_PIN,
      custody: config.SIGNET_EST_KEYS,
    }),
  );
  stack.use(health.register('est-ca.key-store', () => keys.failure()));
  const held = await whenAvailable(log, () => ensureHierarchy({ authorities, keys, trustDomain, now }));
  const onLost = (id: string, error: unknown) =>
    log.error({ err: error, authorityId: id }, 'authorities: the key cannot be opened');
  const ring = liveRing({ authorities, keys, onLost }, held);
  stack.use(await followAuthorities(bus, ring.refresh, log));
  await whenAvailable(log, ring.refresh);
  const withinDays = config.SIGNET_EST_VALIDITY_DAYS * 2;
  stack.use(health.register('est-ca.keys', () => standingOf(ring, { now: now(), withinDays })));

  const crls = Promise.withResolvers<ServedCrls>();
  const ocspCache = new AnswerCache(now);
  const ocsp = ocspOf(config, { certificates, authorities, ring, log, now });
  const files = stack.use(
    await startPlainHttp({
      port: config.SIGNET_EST_HTTP_PORT,
      host: config.SIGNET_BIND,
      log,
      first: ocspHandler({ cache: ocspCache, answer: (request) => answerOcsp(ocsp, request) }),
      routes: (app) =>
        fileRoutes(app, {
          authorities,
          ring,
          crls: crls.promise,
          crlMaxAge: config.SIGNET_EST_CRL_CACHE_SECONDS,
          now,
        }),
    }),
  );

  const [serverName = 'localhost'] = config.SIGNET_SERVER_NAMES;
  const urls = publicUrls(config.SIGNET_EST_HTTP_URL ?? `http://${serverName}:${files.port}`);
  const partitions = config.SIGNET_EST_CRL_PARTITIONS;
  const signer = leafSigner(ring, urls, partitions);
  const crlStore = { states: crlStates, files: crlFiles(crlChunks, now) };
  const publisher = crlPublisher({
    ...crlStore,
    certificates,
    urls,
    lifetimeMs: config.SIGNET_EST_CRL_MINUTES * 60_000,
    deltaLifetimeMs: config.SIGNET_EST_CRL_DELTA_MINUTES * 60_000,
    newToken: randomUUID,
    now,
  });
  crls.resolve(
    servedCrls({
      ...crlStore,
      publisher,
      ttlMs: config.SIGNET_EST_CRL_CACHE_SECONDS * 1000,
      now,
      onError: (error, scopeId) => log.warn({ err: error, scopeId }, 'CRL: could not be brought up to date'),
    }),
  );
  stack.use(await followStanding(bus, ocspCache));
  const revocations = stack.use(
    await followRevocations({
      bus,
      ...crlStore,
      certificates,
      publisher,
      ring,
      readAuthorities: () => readAuthorities(authorities),
      partitions,
      now,
      log,
    }),
  );
  stack.use(
    health.register('est-ca.crl', () => {
      const failure = revocations.failure();
      return failure === undefined ? undefined : { warning: `CRLs are not brought up to date: ${failure}` };
    }),
  );
  const defaults = { validityDays: config.SIGNET_EST_VALIDITY_DAYS };
  const findProfile = profileFinder(profiles, defaults);
  const profileDeps = {
    profiles,
    defaults,
    bounds: () => ({
      issuerOf: issuerOf(ring),
      plainWebhooks: config.SIGNET_OUTWARD_PRIVATE,
      now: now(),
    }),
  };
  const enrollment = {
    ...{
      grants,
      grantUses,
      renewals,
      renewalGrants,
      secretUses,
      requests,
      certificates,
      findProfile,
      signer,
      trustDomain,
      now,
    },
    findDevice: findDeviceOverBus(bus, { deadlineMs: FIND_DEVICE_DEADLINE_MS }),
    askWebhook: webhookCaller({
      deadlineMs: WEBHOOK_DEADLINE_MS,
      allowPrivate: config.SIGNET_OUTWARD_PRIVATE,
      now,
    }),
  };
  const planner = renewalPlanner({
    ...{ certificates, findProfile, now },
    perSecond: config.SIGNET_EST_RENEWALS_PER_SECOND,
    ttlMs: RENEWAL_PLAN_MS,
  });
  const announceNextKey = announceOverBus(bus, { deadlineMs: ANNOUNCE_DEADLINE_MS });
  const serverValidityDays = config.SIGNET_EST_SERVER_VALIDITY_DAYS;
  const lifetimeMs = config.SIGNET_EST_GRANT_MINUTES * 60_000;
  const operations = {
    ...authorityOperations({ authorities, ring, serverValidityDays, now }),
    ...grantOperations({ grants, authorities, findProfile, lifetimeMs, now }),
    ...profileOperations({ ...profileDeps, dryRun: dryRunner({ ...profileDeps, trustDomain }) }),
    ...requestOperations({ requests, now }),
    ...certificateOperations({ certificates, now }),
    ...renewalOperations({ renewalGrants, certificates, now }),
    ...ownershipOperations({
      authorities,
      requests: authorityRequests,
      statements: usedStatements,
      adoptionOf: (root) =>
        countAdoption({ certificates, grants, grantUses, adoptions: anchorAdoptions, now }, root),
      keys,
      refresh: ring.refresh,
      now,
    }),
  };
  stack.use(await serveOperations(bus, operations));
  stack.use(
    watchExpiry({
      ...{ certificates, notices: expiryNotices, marks: expiryMarks, now, log },
      days: config.SIGNET_EST_EXPIRING_DAYS,
    }),
  );
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
      gate: door.gate({
        listener: 'est',
        purposes: ['bootstrap', 'operational'],
        allowAnonymous: true,
        allowExpired: true,
      }),
      log,
      refused: ({ message }) => ({ type: 'text/plain; charset=us-ascii', body: `${message}\n` }),
      routes: async (app) => {
        spiffeRoutes(app, { readAuthorities: () => readAuthorities(authorities), now });
        await estRoutes({
          services: {
            enroll: (request) => enroll(enrollment, request),
            serverKeygen: (request) =>
              serverKeygen({ ...enrollment, envelopKey: keyEnveloper(() => certificate.current()) }, request),
            reenroll: (request) => reenroll({ ...enrollment, announceNextKey }, request),
            caCertificates: (account, peer) =>
              giveAnchors({ authorities, adoptions: anchorAdoptions, now }, account, peer),
            findProfile,
            renewalInfo: (request) => renewalInfo({ certificates, planner, now }, request),
          },
          refusals: door.refusals,
          metrics,
          log,
        })(app);
      },
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

/** OCSP for the issuing CAs: theirs are the certificates that are on record. */
function ocspOf(
  config: EstCaConfig,
  deps: Pick<OcspDeps, 'certificates' | 'now'> & {
    readonly authorities: Authorities;
    readonly ring: AuthorityRing;
    readonly log: DeviceServiceDeps['log'];
  },
): OcspDeps {
  const { authorities, certificates, log, now, ring } = deps;
  const lifetimeMs = config.SIGNET_EST_OCSP_MINUTES * 60_000;
  return {
    certificates,
    issuers: issuersOnRecord({ readAuthorities: () => readAuthorities(authorities), ring, now }),
    responderOf: ocspResponders({
      keys: responderKeys(join(config.SIGNET_DATA_DIR, 'est-ca', 'keys')),
      now,
      onError: (error, authorityId) => log.warn({ err: error, authorityId }, 'OCSP: certificate not renewed'),
    }),
    lifetimeMs,
    freshMs: Math.min(config.SIGNET_EST_OCSP_CACHE_SECONDS * 1000, lifetimeMs / 2),
    now,
    onError: (error) => log.error({ err: error }, 'OCSP: could not answer'),
  };
}
