import { type RunningAdminApi, startAdminApi } from '@signet/admin-api';
import { startBootstrap } from '@signet/bootstrap';
import { startEstCa } from '@signet/est-ca';
import { startMqttBroker } from '@signet/mqtt-broker';
import { startProvisioning } from '@signet/provisioning';
import { startRevocationSync } from '@signet/revocation-sync';
import { openConfiguredDoor, originOf, type ServiceDeps } from '@signet/service';
import type { StandaloneConfig } from './config.ts';

export { type StandaloneConfig, standaloneConfig } from './config.ts';

/** All six services in one process, sharing store, bus and door. */
export interface Platform extends AsyncDisposable {
  readonly admin: RunningAdminApi;
  /** Every port by its name: `est`, `http`, `mqtt`, `mqttProvisioning`, `gateway`, `bootstrap`, `admin`. */
  readonly ports: Readonly<Record<string, number>>;
}

/**
 * Starts the services in the order in which they need each other. Where a port is 0, devices are told the one that the
 * system chose.
 */
export async function startPlatform(config: StandaloneConfig, deps: ServiceDeps): Promise<Platform> {
  await using stack = new AsyncDisposableStack();
  stack.use(await startRevocationSync(config, deps));
  const door = stack.use(await openConfiguredDoor(config, deps));
  const deviceDeps = { ...deps, door };
  const estCa = stack.use(await startEstCa(config, deviceDeps));
  const broker = stack.use(await startMqttBroker(config, deviceDeps));
  const estUrl = reached(config.SIGNET_EST_URL, config.SIGNET_EST_PORT, estCa.ports.est);
  const provisioning = stack.use(await startProvisioning({ ...config, SIGNET_EST_URL: estUrl }, deviceDeps));
  const ports = { ...estCa.ports, ...broker.ports, ...provisioning.ports };
  const bootstrap = stack.use(
    await startBootstrap(
      {
        ...config,
        SIGNET_EST_URL: estUrl,
        SIGNET_MQTT_URL: reached(config.SIGNET_MQTT_URL, config.SIGNET_MQTT_PORT, ports.mqtt),
        SIGNET_GATEWAY_URL: reached(config.SIGNET_GATEWAY_URL, config.SIGNET_GATEWAY_PORT, ports.gateway),
      },
      deviceDeps,
    ),
  );
  const admin = stack.use(await startAdminApi(config, deviceDeps));
  const rest = stack.move();
  return {
    admin,
    ports: { ...ports, ...bootstrap.ports, ...admin.ports },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

function reached(url: string, configuredPort: number, port: number | undefined): string {
  if (configuredPort !== 0 || port === undefined) return url;
  const { protocol, hostname } = new URL(url);
  return originOf(protocol.slice(0, -1), hostname, port);
}
