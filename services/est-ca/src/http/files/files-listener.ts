import { connectionsOf, originOf, publicHost, type ServiceDeps, startPlainHttp } from '@signet/service';
import type { Collections } from '../../collections.ts';
import type { EstCaConfig } from '../../config.ts';
import { certifiedBy, readAuthorities } from '../../domain/authority/chains.ts';
import type { IssuerRegistry } from '../../domain/authority/issuer-registry.ts';
import { type PublicUrls, publicUrls } from '../../domain/authority/revocation-urls.ts';
import { latestUpload } from '../../domain/crl/root-crl.ts';
import type { ServedCrls } from '../../domain/crl/served-crl.ts';
import { AnswerCache } from '../../domain/ocsp/answer-cache.ts';
import { answerOcsp, issuersOnRecord, type OcspDeps } from '../../domain/ocsp/answer-ocsp.ts';
import { ocspResponders, type ResponderKeys } from '../../domain/ocsp/responders.ts';
import { ocspHandler } from '../ocsp/ocsp-handler.ts';
import { fileRoutes } from './routes.ts';

export type PublicFiles = AsyncDisposable & {
  readonly port: number;
  /** What certificates and CRLs say of where to find them. */
  readonly urls: PublicUrls;
  /** OCSP answers that are given again. */
  readonly answers: AnswerCache;
};

/** The plain HTTP port: CRLs, CA certificates, OCSP. Begins before there are CAs, since their certificates name it. */
export async function startPublicFiles(
  config: EstCaConfig,
  deps: ServiceDeps,
  parts: Pick<Collections, 'authorities' | 'certificates' | 'serverCertificates' | 'uploadedCrls'> & {
    readonly registry: Promise<IssuerRegistry>;
    readonly crls: Promise<ServedCrls>;
    readonly responderKeys: ResponderKeys;
  },
): Promise<PublicFiles> {
  const { log, now } = deps;
  await using stack = new AsyncDisposableStack();
  const answers = new AnswerCache(now);
  const ocsp = ocspOf(config, deps, parts);
  const files = stack.use(
    await startPlainHttp({
      port: config.SIGNET_EST_HTTP_PORT,
      host: config.SIGNET_BIND,
      log,
      connections: connectionsOf(config, deps, 'public-files'),
      first: ocspHandler({ cache: answers, answer: (request) => answerOcsp(ocsp, request) }),
      routes: (app) =>
        fileRoutes(app, {
          authorities: parts.authorities,
          registry: parts.registry,
          crls: parts.crls,
          uploadOf: (id) => latestUpload(parts.uploadedCrls, id),
          crlMaxAge: config.SIGNET_EST_CRL_CACHE_SECONDS,
          now,
        }),
    }),
  );
  const urls = publicUrls(
    config.SIGNET_EST_HTTP_URL ?? originOf('http', publicHost(config.SIGNET_SERVER_NAMES), files.port),
  );
  const rest = stack.move();
  return { port: files.port, urls, answers, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

/** OCSP for the issuing and server CAs and the roots: theirs are the certificates that are on record. */
function ocspOf(
  config: EstCaConfig,
  { log, now }: ServiceDeps,
  {
    authorities,
    certificates,
    serverCertificates,
    registry,
    responderKeys,
  }: Pick<Collections, 'authorities' | 'certificates' | 'serverCertificates'> & {
    readonly registry: Promise<IssuerRegistry>;
    readonly responderKeys: ResponderKeys;
  },
): OcspDeps {
  const lifetimeMs = config.SIGNET_EST_OCSP_MINUTES * 60_000;
  return {
    certificates,
    serverCertificates,
    certifiedBy: async (id) => certifiedBy(id, await readAuthorities(authorities)),
    issuers: issuersOnRecord({ readAuthorities: () => readAuthorities(authorities), registry, now }),
    responderOf: ocspResponders({
      keys: responderKeys,
      now,
      onError: (error, authorityId) => log.warn({ err: error, authorityId }, 'OCSP: certificate not renewed'),
    }),
    lifetimeMs,
    freshMs: Math.min(config.SIGNET_EST_OCSP_CACHE_SECONDS * 1000, lifetimeMs / 2),
    now,
    onError: (error) => log.error({ err: error }, 'OCSP: could not answer'),
  };
}
