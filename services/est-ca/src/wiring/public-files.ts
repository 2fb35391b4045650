import { connectionsOf, originOf, publicHost, type ServiceDeps, startPlainHttp } from '@signet/service';
import type { Collections } from '../adapters/collections.ts';
import { guardPurposeKeys } from '../adapters/guarded-keys.ts';
import { responderKeys } from '../adapters/responder-keys.ts';
import type { EstCaConfig } from '../config.ts';
import { certifiedBy } from '../domain/authority/certified-authorities.ts';
import { readAuthorities } from '../domain/authority/read-authorities.ts';
import type { AuthorityRing } from '../domain/authority/ring.ts';
import { type PublicUrls, publicUrls } from '../domain/certificate/leaf-signer.ts';
import type { ServedCrls } from '../domain/crl/served-crl.ts';
import { latestUpload } from '../domain/crl/uploaded-crl.ts';
import { AnswerCache } from '../domain/ocsp/answer-cache.ts';
import { answerOcsp, type OcspDeps } from '../domain/ocsp/answer-ocsp.ts';
import { issuersOnRecord } from '../domain/ocsp/issuers.ts';
import { ocspResponders } from '../domain/ocsp/responders.ts';
import { fileRoutes } from '../http/files/routes.ts';
import { ocspHandler } from '../http/ocsp/ocsp-handler.ts';
import { followStanding } from '../messaging/follow-standing.ts';
import { keyFolderOf } from './authorities.ts';

export type PublicFiles = AsyncDisposable & {
  readonly port: number;
  /** What certificates and CRLs say of where to find them. */
  readonly urls: PublicUrls;
};

/** The plain HTTP port: CRLs, CA certificates, OCSP. Begins before there are CAs, since their certificates name it. */
export async function startPublicFiles(
  config: EstCaConfig,
  deps: ServiceDeps,
  parts: Pick<Collections, 'authorities' | 'certificates' | 'serverCertificates' | 'uploadedCrls'> & {
    readonly ring: Promise<AuthorityRing>;
    readonly crls: Promise<ServedCrls>;
  },
): Promise<PublicFiles> {
  const { bus, log, now } = deps;
  await using stack = new AsyncDisposableStack();
  const cache = new AnswerCache(now);
  const ocsp = ocspOf(config, deps, parts);
  const files = stack.use(
    await startPlainHttp({
      port: config.SIGNET_EST_HTTP_PORT,
      host: config.SIGNET_BIND,
      log,
      connections: connectionsOf(config, deps, 'public-files'),
      first: ocspHandler({ cache, answer: (request) => answerOcsp(ocsp, request) }),
      routes: (app) =>
        fileRoutes(app, {
          authorities: parts.authorities,
          ring: parts.ring,
          crls: parts.crls,
          uploadOf: (id) => latestUpload(parts.uploadedCrls, id),
          crlMaxAge: config.SIGNET_EST_CRL_CACHE_SECONDS,
          now,
        }),
    }),
  );
  stack.use(await followStanding(bus, cache));
  const urls = publicUrls(
    config.SIGNET_EST_HTTP_URL ?? originOf('http', publicHost(config.SIGNET_SERVER_NAMES), files.port),
  );
  const rest = stack.move();
  return { port: files.port, urls, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

/** OCSP for the issuing and server CAs and the roots: theirs are the certificates that are on record. */
function ocspOf(
  config: EstCaConfig,
  { clock, log, now }: ServiceDeps,
  {
    authorities,
    certificates,
    serverCertificates,
    ring,
  }: Pick<Collections, 'authorities' | 'certificates' | 'serverCertificates'> & {
    readonly ring: Promise<AuthorityRing>;
  },
): OcspDeps {
  const lifetimeMs = config.SIGNET_EST_OCSP_MINUTES * 60_000;
  return {
    certificates,
    serverCertificates,
    certifiedBy: async (id) => certifiedBy(id, await readAuthorities(authorities)),
    issuers: issuersOnRecord({ readAuthorities: () => readAuthorities(authorities), ring, now }),
    responderOf: ocspResponders({
      keys: guardPurposeKeys(responderKeys(keyFolderOf(config)), clock?.fault),
      now,
      onError: (error, authorityId) => log.warn({ err: error, authorityId }, 'OCSP: certificate not renewed'),
    }),
    lifetimeMs,
    freshMs: Math.min(config.SIGNET_EST_OCSP_CACHE_SECONDS * 1000, lifetimeMs / 2),
    now,
    onError: (error) => log.error({ err: error }, 'OCSP: could not answer'),
  };
}
