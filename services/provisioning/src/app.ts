import {
  type DeviceServiceDeps,
  openConfiguredCertificate,
  type RunningService,
  startDeviceHttps,
  whenAvailable,
} from '@signet/service';
import type { ProvisioningConfig } from './config.ts';
import { deviceConfigs } from './domain/config/device-config.ts';
import { mqttCredentials } from './domain/credentials/mqtt-credentials.ts';
import { provisioningRequests } from './domain/requests/provisioning-request.ts';
import { keyRingId, keyRings } from './domain/rotation/key-ring.ts';
import { gatewayRoutes } from './http/gateway-routes.ts';
import { serveConfigs, writeConfig } from './messaging/configs.ts';
import { contact, reportUpdates, serveKeys } from './messaging/keys.ts';
import { serveMqttCredentials } from './messaging/mqtt-credentials.ts';
import { serveProvisioningRequests } from './messaging/requests/serve.ts';

/** A device may send several of its config files at a time. */
const MAX_BODY_BYTES = 1_048_576;

/** Starts the provisioning service with its device gateway. Its port is `gateway`. */
export async function startProvisioning(
  config: ProvisioningConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { store, bus, log, now, door } = deps;
  await using stack = new AsyncDisposableStack();
  const { rings, configs, requests, credentials } = await whenAvailable(log, async () => ({
    rings: await store.collection(keyRings),
    configs: await store.collection(deviceConfigs),
    requests: await store.collection(provisioningRequests),
    credentials: await store.collection(mqttCredentials),
  }));
  for (const subscription of await serveKeys({ bus, rings, now })) stack.use(subscription);
  for (const subscription of await serveConfigs({ bus, configs, rings, now })) stack.use(subscription);
  stack.use(
    await serveProvisioningRequests({
      ...{ bus, requests, now, log },
      writeConfig: (device, files, by) => writeConfig({ configs, now }, { ...device, files: [...files], by }),
    }),
  );
  for (const subscription of await serveMqttCredentials({ bus, credentials, now })) stack.use(subscription);
  const certificate = stack.use(await openConfiguredCertificate('provisioning', config, deps));
  const https = stack.use(
    await startDeviceHttps({
      ...{ log, certificate },
      port: config.SIGNET_GATEWAY_PORT,
      host: config.SIGNET_BIND,
      gate: door.gate({ listener: 'gateway', purposes: ['operational'] }),
      limits: { bodyBytes: MAX_BODY_BYTES },
      routes: (app) =>
        gatewayRoutes(app, {
          contact: (account, deviceId, publicKeyHash) =>
            contact({ rings, now }, account, deviceId, publicKeyHash),
          readConfig: (account, deviceId) => configs.get(keyRingId(account, deviceId)),
          writeConfig: async (account, deviceId, files) => {
            await writeConfig({ configs, now }, { account, deviceId, files, by: deviceId });
          },
          reportUpdates: (account, deviceId, reports) =>
            reportUpdates({ rings, now }, account, deviceId, reports),
          refuse: (facts) => door.refusals.report(facts),
        }),
    }),
  );
  const rest = stack.move();
  return { ports: { gateway: https.port }, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
