import { createGrant } from '@signet/contracts';
import {
  type DeviceServiceDeps,
  openServerCertificate,
  type RunningService,
  startDeviceHttps,
} from '@signet/service';
import type { BootstrapConfig } from './config.ts';
import { deviceRecords } from './domain/device-record.ts';
import { handOverDevice } from './domain/hand-over.ts';
import { bootstrapRoutes } from './http/bootstrap-routes.ts';
import { serveDevices } from './messaging/devices.ts';
import { serveFactory } from './messaging/factory.ts';
import { serveHandOvers } from './messaging/hand-overs.ts';
import { serveLifecycle } from './messaging/lifecycle.ts';
import { followProgress } from './messaging/progress.ts';

/** Starts the bootstrap service: factory log, claims, hand-over. Its port is `bootstrap`. */
export async function startBootstrap(
  config: BootstrapConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { store, bus, log, now, health, door } = deps;
  await using stack = new AsyncDisposableStack();
  const devices = await store.collection(deviceRecords);
  const handOver = (fingerprint: string) =>
    handOverDevice(
      {
        devices,
        now,
        issueGrant: (input) => bus.request(createGrant, input),
        endpoints: {
          instance: config.SIGNET_TRUST_DOMAIN,
          est: config.SIGNET_EST_URL,
          mqtt: config.SIGNET_MQTT_URL,
          gateway: config.SIGNET_GATEWAY_URL,
        },
      },
      fingerprint,
    );
  const messaging = { bus, devices, now };
  for (const subscription of [
    ...(await serveFactory(messaging)),
    ...(await serveDevices(messaging)),
    ...(await serveLifecycle(messaging)),
    await serveHandOvers(bus, handOver),
    await followProgress(messaging),
  ]) {
    stack.use(subscription);
  }
  const certificate = stack.use(
    await openServerCertificate({
      ...{ log, now, health },
      service: 'bootstrap',
      names: config.SIGNET_SERVER_NAMES,
      dataDir: config.SIGNET_DATA_DIR,
      issue: bus,
    }),
  );
  const https = stack.use(
    await startDeviceHttps({
      ...{ log, certificate },
      port: config.SIGNET_BOOTSTRAP_PORT,
      host: config.SIGNET_BIND,
      gate: door.gate({ listener: 'bootstrap', purposes: ['bootstrap'] }),
      routes: (app) =>
        bootstrapRoutes(app, {
          handOver,
          refuse: (facts) => door.refusals.report(facts),
          retrySeconds: config.SIGNET_BOOTSTRAP_RETRY_SECONDS,
        }),
    }),
  );
  const rest = stack.move();
  return { ports: { bootstrap: https.port }, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
