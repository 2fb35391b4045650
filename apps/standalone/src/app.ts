import { type RunningAdminApi, startAdminApi } from '@signet/admin-api';
import { startBootstrap } from '@signet/bootstrap';
import { startEstCa } from '@signet/est-ca';
import { startMqttBroker } from '@signet/mqtt-broker';
import { startProvisioning } from '@signet/provisioning';
import { startRevocationSync } from '@signet/revocation-sync';
import {
  openConfiguredAdmission,
  originOf,
  type PlatformAddresses,
  publicHost,
  type ServiceDeps,
} from '@signet/service';
import type { StandaloneConfig } from './config.ts';

export { type StandaloneConfig, standaloneConfig } from './config.ts';

/** All six services in one process, sharing store, bus and admission. */
export interface Platform extends AsyncDisposable {
  readonly admin: RunningAdminApi;
  /** Every port by its name: `est`, `http`, `mqtt`, `mqttProvisioning`, `gateway`, `bootstrap`, `admin`. */
  readonly ports: Readonly<Record<string, number>>;
  /** Where it is reached, and by which roots; as of now. */
  addresses(): PlatformAddresses;
  /** Called after the CAs changed. */
  onTrustChange(listener: () => void): Disposable;
}

/**
 * Starts the services in the order in which they need each other. Where a port is 0, devices are told the one that the
 * system chose.
 */
export async function startPlatform(config: StandaloneConfig, deps: ServiceDeps): Promise<Platform> {
  await using stack = new AsyncDisposableStack();
  stack.use(await startRevocationSync(config, deps));
  const admission = stack.use(await openConfiguredAdmission(config, deps));
  const deviceDeps = { ...deps, admission };
  const estCa = stack.use(await startEstCa(config, deviceDeps));
  const broker = stack.use(await startMqttBroker(config, deviceDeps));
  const estUrl = reached(config.SIGNET_EST_URL, config.SIGNET_EST_PORT, estCa.ports.est);
  const provisioning = stack.use(await startProvisioning({ ...config, SIGNET_EST_URL: estUrl }, deviceDeps));
  const ports = { ...estCa.ports, ...broker.ports, ...provisioning.ports };
  const mqttUrl = reached(config.SIGNET_MQTT_URL, config.SIGNET_MQTT_PORT, ports.mqtt);
  const gatewayUrl = reached(config.SIGNET_GATEWAY_URL, config.SIGNET_GATEWAY_PORT, ports.gateway);
  const bootstrap = stack.use(
    await startBootstrap(
      {
        ...config,
        SIGNET_EST_URL: estUrl,
        SIGNET_MQTT_URL: mqttUrl,
        SIGNET_GATEWAY_URL: gatewayUrl,
      },
      deviceDeps,
    ),
  );
  const admin = stack.use(await startAdminApi(config, deviceDeps));
  const rest = stack.move();
  return {
    admin,
    ports: { ...ports, ...bootstrap.ports, ...admin.ports },
    addresses: () => ({
      api: admin.url,
      bootstrap: originOf('https', publicHost(config.SIGNET_SERVER_NAMES), bootstrap.ports.bootstrap ?? 0),
      ...{ est: estUrl, mqtt: mqttUrl, gateway: gatewayUrl },
      trustAnchors: [...admission.trust.anchors()],
    }),
    onTrustChange: (listener) => admission.trust.onChange(listener),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

function reached(url: string, configuredPort: number, port: number | undefined): string {
  if (configuredPort !== 0 || port === undefined) return url;
  const { protocol, hostname } = new URL(url);
  return originOf(protocol.slice(0, -1), hostname, port);
}
