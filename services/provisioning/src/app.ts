import {
  type DeviceServiceDeps,
  openServerCertificate,
  type RunningService,
  startDeviceHttps,
} from '@signet/service';
import type { ProvisioningConfig } from './config.ts';
import { deviceConfigs } from './domain/device-config.ts';
import { keyRingId, keyRings, keyRingView } from './domain/key-ring.ts';
import { provisioningRequests } from './domain/provisioning-request.ts';
import { gatewayRoutes } from './http/gateway-routes.ts';
import { serveConfigs, writeConfig } from './messaging/configs.ts';
import { contact, serveKeys } from './messaging/keys.ts';
import { serveRequests } from './messaging/requests.ts';

/** Starts the provisioning service with its device gateway. Its port is `gateway`. */
export async function startProvisioning(
  config: ProvisioningConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { store, bus, log, now, health, door } = deps;
  await using stack = new AsyncDisposableStack();
  const rings = await store.collection(keyRings);
  const configs = await store.collection(deviceConfigs);
  const requests = await store.collection(provisioningRequests);
  for (const subscription of [
    ...(await serveKeys({ bus, rings, now })),
    ...(await serveConfigs({ bus, configs, rings, now })),
    ...(await serveRequests({ bus, requests, now })),
  ]) {
    stack.use(subscription);
  }
  const certificate = stack.use(
    await openServerCertificate({
      ...{ log, now, health },
      service: 'provisioning',
      names: config.SIGNET_SERVER_NAMES,
      dataDir: config.SIGNET_DATA_DIR,
      issue: bus,
    }),
  );
  const https = stack.use(
    await startDeviceHttps({
      ...{ log, certificate },
      port: config.SIGNET_GATEWAY_PORT,
      host: config.SIGNET_BIND,
      gate: door.gate({ listener: 'gateway', purposes: ['operational'] }),
      routes: (app) =>
        gatewayRoutes(app, {
          contact: (account, deviceId, publicKeyHash) =>
            contact({ rings, now }, account, deviceId, publicKeyHash),
          view: keyRingView,
          readConfig: (account, deviceId) => configs.get(keyRingId(account, deviceId)),
          writeConfig: async (account, deviceId, files) => {
            await writeConfig({ configs, now }, { account, deviceId, files, by: deviceId });
          },
          refuse: (facts) => door.refusals.report(facts),
        }),
    }),
  );
  const rest = stack.move();
  return { ports: { gateway: https.port }, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
