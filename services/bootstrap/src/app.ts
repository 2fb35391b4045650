import { PLATFORM_ACCOUNT } from '@signet/contracts';
import {
  connectionsOf,
  type DeviceServiceDeps,
  followAccounts,
  openConfiguredCertificate,
  type RunningService,
  startDeviceHttps,
  whenAvailable,
} from '@signet/service';
import { handoffPorts } from './adapters/handoff-ports.ts';
import { openCollections } from './collections.ts';
import type { BootstrapConfig } from './config.ts';
import { factoryPins, inForce } from './domain/factory/factory-pins.ts';
import { type HandoffRequest, handOffDevice } from './domain/handoff/hand-off-device.ts';
import { bootstrapRoutes } from './http/bootstrap-routes.ts';
import { identityRoutes } from './http/identity-routes.ts';
import { serveForeignCrls } from './messaging/foreign-crls.ts';
import { serveHandoffs } from './messaging/handoffs.ts';
import { serveIdentities } from './messaging/identify.ts';
import { openClaims } from './wiring/claims.ts';
import { openFactory } from './wiring/factory.ts';
import { openRegistration } from './wiring/registration.ts';

const outcomes = { bundle: 'handed-over', redirect: 'redirected' } as const;

/** Starts the bootstrap service: factory log, claims, handoff. Its port is `bootstrap`. */
export async function startBootstrap(
  config: BootstrapConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { store, bus, log, now, metrics, admission } = deps;
  await using stack = new AsyncDisposableStack();
  const collections = await whenAvailable(log, () => openCollections(store));
  const ports = handoffPorts(bus, now);
  const factories = factoryPins(() => admission.trust.authorities());
  const endpoints = {
    instance: config.SIGNET_TRUST_DOMAIN,
    est: config.SIGNET_EST_URL,
    mqtt: config.SIGNET_MQTT_URL,
    gateway: config.SIGNET_GATEWAY_URL,
  };
  const handOff = async (request: HandoffRequest) => {
    const result = await handOffDevice({ ...collections, factories, ports, endpoints, now }, request);
    const { account = PLATFORM_ACCOUNT } = result.kind === 'bundle' ? result.bundle : result;
    const outcome = 'code' in result ? result.code : outcomes[result.kind];
    metrics.bootstraps.add({ account, outcome });
    return result;
  };
  const messaging = { bus, ...collections, now };
  const pins = { authorities: () => admission.trust.authorities(), refresh: () => admission.trust.refresh() };
  const factory = stack.use(await openFactory(deps, { ...collections, factories }));
  stack.use(await openClaims(config, deps, { ...collections, factories, pins }));
  stack.use(await followAccounts(bus, 'bootstrap', collections.accountStates));
  stack.use(await serveHandoffs(bus, handOff));
  stack.use(await serveIdentities(messaging));
  stack.use(await serveForeignCrls(messaging));
  const registration = stack.use(await openRegistration(config, deps, collections));
  const certificate = stack.use(await openConfiguredCertificate('bootstrap', config, deps));
  const https = stack.use(
    await startDeviceHttps({
      ...{ log, certificate },
      port: config.SIGNET_BOOTSTRAP_PORT,
      host: config.SIGNET_BIND,
      connections: connectionsOf(config, deps, 'bootstrap'),
      gate: admission.gate(registration.gate),
      answersRefused: registration.answersRefused,
      routes: (app) => {
        factory.guard(app);
        registration.guard(app);
        registration.routes(app);
        identityRoutes(app, {
          ...{ devices: collections.devices, issuers: () => admission.trust.issuers(), pins, now },
          refuse: (facts) => admission.refusals.report(facts),
        });
        bootstrapRoutes(app, {
          handOff,
          refuse: (facts) => admission.refusals.report(facts),
          pinnedBy: (keyId) => inForce(factories.byKeyId(keyId)).map(({ account }) => account),
          retrySeconds: config.SIGNET_BOOTSTRAP_RETRY_SECONDS,
        });
      },
    }),
  );
  const rest = stack.move();
  return { ports: { bootstrap: https.port }, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
