import { type Admission, openAdmission } from './admission.ts';
import type { CommonConfig } from './common-config.ts';
import type { DeviceServiceDeps, RunningService, ServiceDeps } from './deps.ts';
import {
  type IssueServerCertificate,
  openServerCertificate,
  type ServerCertificate,
} from './server-certificate.ts';

/** The admission as the common configuration says. */
export function openConfiguredAdmission(config: CommonConfig, deps: ServiceDeps): Promise<Admission> {
  return openAdmission({
    ...deps,
    dataDir: config.SIGNET_DATA_DIR,
    trustDomain: config.SIGNET_TRUST_DOMAIN,
    staleAfterMs: config.SIGNET_DENYLIST_STALE_SECONDS * 1000,
    refuseWhenStale: config.SIGNET_DENYLIST_STALE_REFUSES,
    maxSessionMs:
      config.SIGNET_SESSION_MAX_SECONDS === 0 ? undefined : config.SIGNET_SESSION_MAX_SECONDS * 1000,
    cacheMaxAgeMs: config.SIGNET_DENYLIST_MAX_SNAPSHOT_AGE_SECONDS * 1000,
  });
}

/** The TLS certificate of a service as the common configuration says; `issue` is for est-ca, which needs no bus for it. */
export function openConfiguredCertificate(
  service: string,
  config: CommonConfig,
  deps: ServiceDeps & { readonly admission?: Admission },
  options: {
    readonly issue?: IssueServerCertificate;
    readonly signal?: AbortSignal;
    readonly forOperators?: boolean;
  } = {},
): Promise<ServerCertificate> {
  return openServerCertificate({
    service,
    names: config.SIGNET_SERVER_NAMES,
    dataDir: config.SIGNET_DATA_DIR,
    issue: deps.bus,
    log: deps.log,
    now: deps.now,
    health: deps.health,
    trust: deps.admission?.trust,
    ticks: deps.ticks,
    ...options,
  });
}

/**
 * Makes the start of a device-facing service into one for {@link runService}, with an admission of its own:
 * `runService('bootstrap', BootstrapConfig, withAdmission(startBootstrap))`.
 */
export function withAdmission<C extends CommonConfig>(
  start: (config: C, deps: DeviceServiceDeps) => Promise<RunningService>,
): (config: C, deps: ServiceDeps) => Promise<RunningService> {
  return async (config, deps) => {
    await using stack = new AsyncDisposableStack();
    const admission = stack.use(await openConfiguredAdmission(config, deps));
    const running = stack.use(await start(config, { ...deps, admission }));
    const rest = stack.move();
    return { ports: running.ports, [Symbol.asyncDispose]: () => rest.disposeAsync() };
  };
}
