import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createLogger,
  type DeviceServiceDeps,
  openConfiguredAdmission,
  openRuntime,
  parseConfig,
  type RunningService,
  type Ticks,
} from '@signet/service';
import { type StandaloneConfig, standaloneConfig } from '@signet/standalone';
import {
  askReadiness,
  type Environment,
  openOperator,
  type ServiceName,
  serviceNames,
  untilReady,
} from './environment.ts';
import { ServiceLog } from './service-log.ts';
import { ServiceSlots } from './service-slots.ts';

/** SQLite and the local bus, or servers; with servers the database and the streams should be this environment's own. */
export type Engines =
  | 'embedded'
  | { readonly store: string; readonly bus: string; readonly redis?: string | undefined };

export type DevEnvOptions = {
  readonly engines?: Engines;
  /** More environment variables, `SIGNET_…`; they win. */
  readonly env?: Readonly<Record<string, string>>;
  /** A data directory to go on with; by default a temporary one, removed at the end. */
  readonly dataDir?: string;
  readonly now?: () => number;
  /** When what is due at a time of `now` is looked at; by default every minute. */
  readonly ticks?: Ticks;
};

/** The platform in this process. */
export interface DevEnv extends Environment {
  readonly dataDir: string;
  /** What the services stand on. */
  readonly deps: DeviceServiceDeps;
  /** One more of a service, on ports of its own; a broker or gateway gets an admission of its own with it. */
  replica(service: 'est-ca' | 'mqtt-broker' | 'provisioning'): Promise<RunningService>;
  /** Closes store and bus for good, under services that run on. */
  cutBackbone(): Promise<void>;
}

/** Boots the platform in this process, on free ports, with a PKI of its own. */
export async function startDevEnv(options: DevEnvOptions = {}): Promise<DevEnv> {
  await using stack = new AsyncDisposableStack();
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'signet-dev-')));
  if (options.dataDir === undefined) stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const config = parseConfig(standaloneConfig, environment(dataDir, options));
  const log = new ServiceLog();
  const logger = createLogger({
    service: 'signet',
    level: config.SIGNET_LOG_LEVEL,
    destination: { write: (line) => log.write(line) },
  });
  const runtime = stack.use(
    await openRuntime('signet', config, {
      log: logger,
      ...(options.now === undefined ? {} : { now: options.now }),
      ticks: options.ticks,
    }),
  );
  const admission = stack.use(await openConfiguredAdmission(config, runtime.deps));
  const deps = { ...runtime.deps, admission };
  const slots = stack.use(new ServiceSlots(config, deps));
  for (const name of serviceNames) await slots.start(name);
  runtime.started();
  await untilReady(() => askReadiness(runtime.healthPort));
  const token = config.SIGNET_ADMIN_TOKEN ?? (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
  const { operator, events } = openOperator({ port: slots.ports.admin, token });
  stack.use(events);
  const rest = stack.move();
  return {
    ports: slots.ports,
    ...{ operator, events, log, dataDir, deps },
    start: (name: ServiceName) => slots.start(name),
    stop: (name: ServiceName) => slots.stop(name),
    readiness: () => askReadiness(runtime.healthPort),
    replica: async (name) => {
      if (name === 'est-ca') return await slots.replica(name);
      return await replicaWithAdmission(slots, name, config, deps);
    },
    async cutBackbone() {
      await deps.store[Symbol.asyncDispose]();
      await deps.bus[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

async function replicaWithAdmission(
  slots: ServiceSlots,
  name: ServiceName,
  config: StandaloneConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(config.SIGNET_DATA_DIR, `${name}-`));
  const own = { SIGNET_DATA_DIR: dataDir, SIGNET_INSTANCE: `${name}-replica` };
  const admission = stack.use(await openConfiguredAdmission({ ...config, ...own }, deps));
  await Promise.all([admission.trust.whenLoaded(), admission.denyList.whenLoaded()]);
  const running = stack.use(await slots.replica(name, own, { admission }));
  const rest = stack.move();
  return { ports: running.ports, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

function environment(dataDir: string, { engines = 'embedded', env }: DevEnvOptions): Record<string, string> {
  const free = [
    ...['EST', 'EST_HTTP', 'MQTT', 'MQTT_PROVISIONING', 'GATEWAY', 'BOOTSTRAP', 'ADMIN', 'HEALTH'],
  ];
  const servers =
    engines === 'embedded'
      ? { SIGNET_STORE: `sqlite:${join(dataDir, 'signet.db')}`, SIGNET_BUS: 'local' }
      : {
          SIGNET_STORE: engines.store,
          SIGNET_BUS: engines.bus,
          ...(engines.redis === undefined ? {} : { SIGNET_REDIS: engines.redis }),
        };
  return {
    ...servers,
    ...Object.fromEntries(free.map((name) => [`SIGNET_${name}_PORT`, '0'])),
    SIGNET_DATA_DIR: dataDir,
    SIGNET_BIND: '127.0.0.1',
    SIGNET_HEALTH_BIND: '127.0.0.1',
    SIGNET_BOOTSTRAP_RETRY_SECONDS: '1',
    ...env,
  };
}
