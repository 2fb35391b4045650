import {
  connectionsOf,
  type DeviceServiceDeps,
  openConfiguredCertificate,
  startDeviceHttps,
} from '@signet/service';
import type { Collections } from '../adapters/collections.ts';
import type { EstCaConfig } from '../config.ts';
import { giveNonce } from '../domain/attestation/nonce.ts';
import { attestKey } from '../domain/attestation/require-attestation.ts';
import { challenge } from '../domain/attestation/verify-attestation.ts';
import { giveAnchors } from '../domain/authority/give-anchors.ts';
import { readAuthorities } from '../domain/authority/read-authorities.ts';
import { authenticateForNonce } from '../domain/enrollment/authenticate.ts';
import { enroll, reenroll } from '../domain/enrollment/enroll.ts';
import { namingDevice } from '../domain/enrollment-error.ts';
import { renewalInfo } from '../domain/renewal/renewal-info.ts';
import { renewalPlanner } from '../domain/renewal/renewal-planner.ts';
import { enrollWithServerKey, keyEnveloper } from '../domain/server-keygen/server-keygen.ts';
import type { EstServices } from '../http/est/est-services.ts';
import { estHttp } from '../http/est/routes.ts';
import { spiffeRoutes } from '../http/spiffe/routes.ts';
import type { EstCaOperations } from '../messaging/operations.ts';
import type { EnrollmentDeps } from './enrollment.ts';

const RENEWAL_PLAN_MS = 600_000;

export type EstListener = AsyncDisposable & { readonly port: number };

/** EST and the SPIFFE bundles over HTTPS. */
export async function startEst(
  config: EstCaConfig,
  deps: DeviceServiceDeps,
  parts: Pick<Collections, 'authorities' | 'anchorAdoptions' | 'certificates'> & {
    readonly enrollment: EnrollmentDeps;
    readonly issueServerCertificate: EstCaOperations['issueServerCertificate'];
  },
): Promise<EstListener> {
  const { admission, log, metrics, now } = deps;
  const { authorities, anchorAdoptions, certificates, enrollment, issueServerCertificate } = parts;
  await using stack = new AsyncDisposableStack();
  const certificate = stack.use(
    await openConfiguredCertificate('est-ca', config, deps, { issue: issueServerCertificate }),
  );
  const planner = renewalPlanner({
    ...enrollment,
    certificates,
    perSecond: config.SIGNET_EST_RENEWALS_PER_SECOND,
    ttlMs: RENEWAL_PLAN_MS,
  });
  const envelopKey = keyEnveloper(() => certificate.current());
  const services: EstServices = {
    attestation: {
      device: (request) => namingDevice((proven) => authenticateForNonce(enrollment, request, proven)),
      nonce: (device) => giveNonce(enrollment.attestation, device),
      challenge: (device, request) => challenge(enrollment.attestation, device, request),
      attest: (device, statement, key) => attestKey(enrollment.attestation, device, statement, key),
    },
    enroll: (request) => enroll(enrollment, request),
    serverKeygen: (request) => enrollWithServerKey({ ...enrollment, envelopKey }, request),
    reenroll: (request) => reenroll(enrollment, request),
    caCertificates: (account, peer) =>
      giveAnchors({ authorities, adoptions: anchorAdoptions, now }, account, peer),
    findProfile: enrollment.findProfile,
    renewalInfo: (request) => renewalInfo({ certificates, planner, now }, request),
  };
  const http = estHttp({ services, refusals: admission.refusals, metrics, log });
  const est = stack.use(
    await startDeviceHttps({
      port: config.SIGNET_EST_PORT,
      host: config.SIGNET_BIND,
      certificate,
      gate: admission.gate({
        listener: 'est',
        purposes: ['bootstrap', 'operational'],
        allowAnonymous: true,
        allowExpired: true,
      }),
      log,
      connections: connectionsOf(config, deps, 'est'),
      refused: ({ message }) => ({ type: 'text/plain; charset=us-ascii', body: `${message}\n` }),
      first: http.first,
      routes: async (app) => {
        spiffeRoutes(app, { readAuthorities: () => readAuthorities(authorities), now });
        await http.routes(app);
      },
    }),
  );
  const rest = stack.move();
  return { port: est.port, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
