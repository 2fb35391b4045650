import { startAdminApi } from '@signet/admin-api';
import { startBootstrap } from '@signet/bootstrap';
import { startEstCa } from '@signet/est-ca';
import { startMqttBroker } from '@signet/mqtt-broker';
import { startProvisioning } from '@signet/provisioning';
import { startRevocationSync } from '@signet/revocation-sync';
import type { DeviceServiceDeps, RunningService } from '@signet/service';
import type { StandaloneConfig } from '@signet/standalone';
import { type Ports, type ServiceName, serviceNames } from './environment.ts';

type Start = (config: StandaloneConfig, deps: DeviceServiceDeps) => Promise<RunningService>;

/** How each service starts, with the variables that name its ports. */
export const starts = {
  'est-ca': { start: startEstCa, ports: { est: 'SIGNET_EST_PORT', http: 'SIGNET_EST_HTTP_PORT' } },
  'revocation-sync': { start: startRevocationSync, ports: {} },
  'mqtt-broker': {
    start: startMqttBroker,
    ports: { mqtt: 'SIGNET_MQTT_PORT', mqttProvisioning: 'SIGNET_MQTT_PROVISIONING_PORT' },
  },
  provisioning: { start: startProvisioning, ports: { gateway: 'SIGNET_GATEWAY_PORT' } },
  bootstrap: { start: startBootstrap, ports: { bootstrap: 'SIGNET_BOOTSTRAP_PORT' } },
  'admin-api': { start: startAdminApi, ports: { admin: 'SIGNET_ADMIN_PORT' } },
} as const satisfies Record<
  ServiceName,
  { start: Start; ports: Partial<Record<keyof Ports, keyof StandaloneConfig>> }
>;

/**
 * The six services of one process, each to be stopped and started by itself. A port is chosen by the system at the
 * first start; a later one takes the same.
 */
export class ServiceSlots implements AsyncDisposable {
  readonly #deps: DeviceServiceDeps;
  readonly #running = new Map<ServiceName, RunningService>();
  readonly #ports: Record<string, number> = {};
  #config: StandaloneConfig;

  constructor(config: StandaloneConfig, deps: DeviceServiceDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  get ports(): Ports {
    return this.#ports as Ports;
  }

  async start(name: ServiceName): Promise<void> {
    if (this.#running.has(name)) throw new Error(`${name} runs already`);
    const start: Start = starts[name].start;
    const running = await start(this.#config, this.#deps);
    this.#running.set(name, running);
    Object.assign(this.#ports, running.ports);
    const learned = Object.entries(starts[name].ports).map(([port, variable]) => [
      variable,
      running.ports[port],
    ]);
    this.#config = {
      ...this.#config,
      ...Object.fromEntries(learned.filter(([, port]) => port !== undefined)),
    };
    this.#config = {
      ...this.#config,
      SIGNET_EST_URL: `https://localhost:${this.#ports.est}`,
      SIGNET_MQTT_URL: `mqtts://localhost:${this.#ports.mqtt}`,
      SIGNET_GATEWAY_URL: `https://localhost:${this.#ports.gateway}`,
    };
  }

  async stop(name: ServiceName): Promise<void> {
    const running = this.#running.get(name);
    this.#running.delete(name);
    await running?.[Symbol.asyncDispose]();
  }

  /** Starts one more of a service, on ports of its own; `deps` may give it another admission. */
  async replica(
    name: ServiceName,
    config: Partial<StandaloneConfig> = {},
    deps: Partial<DeviceServiceDeps> = {},
  ): Promise<RunningService> {
    const start: Start = starts[name].start;
    const free = Object.values(starts[name].ports).map((variable) => [variable, 0]);
    return await start(
      { ...this.#config, ...Object.fromEntries(free), ...config },
      { ...this.#deps, ...deps },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of serviceNames.toReversed()) await this.stop(name);
  }
}
