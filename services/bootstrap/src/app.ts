import { PLATFORM_ACCOUNT } from '@signet/contracts';
import {
  below,
  connectionsOf,
  type DeviceServiceDeps,
  followAccounts,
  openConfiguredCertificate,
  type RefusalFacts,
  type RunningService,
  startDeviceHttps,
  unfitUrl,
  whenAvailable,
} from '@signet/service';
import { commandCertificates } from './adapters/command-certificates.ts';
import { openCollections } from './collections.ts';
import type { BootstrapConfig } from './config.ts';
import { eraseDeletedAccounts } from './consumers/accounts.ts';
import { consumeEvents } from './consumers/events.ts';
import type { Context } from './context.ts';
import { factoryPins } from './domain/factory/factory-pins.ts';
import { type HandoffRequest, handOffDevice } from './domain/handoff/hand-off-device.ts';
import { isOwnAddress } from './domain/redirect/redirects.ts';
import { inTurn } from './domain/registration/request-limits.ts';
import { answersRefused, guardRoutes } from './http/admitted-routes.ts';
import { bootstrapRoutes, identityRoutes } from './http/bootstrap-routes.ts';
import { flottaRoutes } from './http/flotta-routes.ts';
import { registerRoutes } from './http/register-routes.ts';
import { signRoutes } from './http/sign-routes.ts';
import { startJobs } from './jobs/jobs.ts';
import { accountOperations } from './rpc/accounts.ts';
import { deviceOperations, factoryOperations, handoffOperation } from './rpc/devices.ts';
import { registrationOperations } from './rpc/registrations.ts';

const HOUR_MS = 3_600_000;

const outcomes = { bundle: 'handed-over', redirect: 'redirected' } as const;

/** Starts the bootstrap service: factory log, claims, handoff, registration. Its port is `bootstrap`. */
export async function startBootstrap(
  config: BootstrapConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { store, bus, log, now, metrics, admission } = deps;
  await using stack = new AsyncDisposableStack();
  const own = { names: config.SIGNET_SERVER_NAMES, port: config.SIGNET_BOOTSTRAP_PORT };
  const parts: Omit<Context, 'wake'> = {
    ...(await whenAvailable(log, () => openCollections(store))),
    ...{ bus, log, now },
    trust: admission.trust,
    factories: factoryPins(() => admission.trust.authorities()),
    endpoints: {
      instance: config.SIGNET_TRUST_DOMAIN,
      est: config.SIGNET_EST_URL,
      mqtt: config.SIGNET_MQTT_URL,
      gateway: config.SIGNET_GATEWAY_URL,
      ostree: config.SIGNET_OSTREE_URL ?? below(config.SIGNET_GATEWAY_URL, '/treehub'),
    },
    commandCertificateOf: commandCertificates(bus),
    inTurn: inTurn(),
    registrationWaitMs: config.SIGNET_REGISTRATION_WAIT_HOURS * HOUR_MS,
    isOwnUrl: (url) => isOwnAddress(own, url),
    whyUnfitUrl: (url) => unfitUrl(url, config.SIGNET_OUTWARD_PRIVATE),
  };

  const jobs = stack.use(startJobs(config, log, parts));
  const ctx: Context = {
    ...parts,
    wake: {
      notifications: () => jobs.notifications.wake(),
      voidedAuthorities: () => jobs.voidedAuthorities.wake(),
    },
  };
  const handOff = async (request: HandoffRequest) => {
    const result = await handOffDevice(ctx, request);
    const { account = PLATFORM_ACCOUNT } = result.kind === 'bundle' ? result.bundle : result;
    const outcome = 'code' in result ? result.code : outcomes[result.kind];
    metrics.bootstraps.add({ account, outcome });
    return result;
  };

  for (const serve of [
    ...deviceOperations(ctx),
    ...factoryOperations(ctx),
    ...accountOperations(ctx),
    ...registrationOperations(ctx),
    handoffOperation(handOff),
  ])
    stack.use(await serve(bus));
  for (const subscription of await consumeEvents(bus, ctx)) stack.use(subscription);
  stack.use(await followAccounts(bus, 'bootstrap', ctx.accountStates));
  stack.use(await eraseDeletedAccounts(bus, ctx));

  const refuse = (facts: RefusalFacts) => admission.refusals.report(facts);
  const retrySeconds = config.SIGNET_BOOTSTRAP_RETRY_SECONDS;
  const certificate = stack.use(await openConfiguredCertificate('bootstrap', config, deps));
  const https = stack.use(
    await startDeviceHttps({
      ...{ log, certificate },
      port: config.SIGNET_BOOTSTRAP_PORT,
      host: config.SIGNET_BIND,
      connections: connectionsOf(config, deps, 'bootstrap'),
      gate: admission.gate({
        listener: 'bootstrap',
        purposes: ['bootstrap', 'registration', 'operational'],
        allowAnonymous: true,
        allowExpired: true,
      }),
      answersRefused,
      routes: (app) => {
        guardRoutes(app, refuse);
        bootstrapRoutes(app, ctx, { handOff, refuse, retrySeconds });
        identityRoutes(app, ctx, refuse);
        registerRoutes(app, ctx, { refuse, retrySeconds });
        flottaRoutes(app, { ctx, refuse, heartbeatSeconds: config.SIGNET_FLOTTA_HEARTBEAT_SECONDS });
        signRoutes(app, ctx, refuse);
      },
    }),
  );
  const rest = stack.move();
  return { ports: { bootstrap: https.port }, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
