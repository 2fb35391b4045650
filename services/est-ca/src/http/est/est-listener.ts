import {
  connectionsOf,
  type DeviceServiceDeps,
  type IssueServerCertificate,
  openConfiguredCertificate,
  startDeviceHttps,
} from '@signet/service';
import type { Collections } from '../../collections.ts';
import type { EstCaConfig } from '../../config.ts';
import type { AttestationDeps } from '../../domain/attestation/require-attestation.ts';
import { readAuthorities } from '../../domain/authority/chains.ts';
import type { EnrollCtx } from '../../domain/enrollment/enroll.ts';
import { renewalPlanner } from '../../domain/renewal/renewal-planner.ts';
import { keyEnveloper } from '../../domain/server-keygen/server-keygen.ts';
import { spiffeRoutes } from '../spiffe/trust-bundle.ts';
import { estHandler, MAX_BODY_BYTES } from './est-handler.ts';
import type { EstCtx } from './est-operations.ts';

const RENEWAL_PLAN_MS = 600_000;

export type EstListener = AsyncDisposable & { readonly port: number };

/** EST and the SPIFFE bundles over HTTPS. */
export async function startEst(
  config: EstCaConfig,
  deps: DeviceServiceDeps,
  parts: Pick<Collections, 'authorities' | 'rootAdoptions' | 'certificates'> & {
    readonly enrollment: EnrollCtx &
      Pick<EstCtx, 'requireAccount'> & { readonly attestation: AttestationDeps };
    readonly issueServerCertificate: IssueServerCertificate;
  },
): Promise<EstListener> {
  const { admission, log, metrics, now } = deps;
  const { authorities, rootAdoptions, certificates, enrollment, issueServerCertificate } = parts;
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
  const ctx: EstCtx = {
    ...enrollment,
    ...{ authorities, adoptions: rootAdoptions, certificates, planner },
    envelopKey: keyEnveloper(() => certificate.current()),
  };
  const handler = estHandler({ ctx, refusals: admission.refusals, metrics, log });
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
      limits: { bodyBytes: MAX_BODY_BYTES },
      first: handler.handle,
      routes: (app) => {
        spiffeRoutes(app, { readAuthorities: () => readAuthorities(authorities), now });
        app.addHook('preClose', async () => handler.close());
      },
    }),
  );
  const rest = stack.move();
  return { port: est.port, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
