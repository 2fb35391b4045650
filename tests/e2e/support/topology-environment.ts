import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  askReadiness,
  type Environment,
  openOperator,
  ServiceLog,
  type ServiceName,
  untilReady,
} from '@signet/dev-env';
import type { RunningServer } from '@signet/tests/servers/start';
import { type RunningTopology, startService, startTopology } from '../../../deploy/run-topology.ts';

/** A service, or its second replica. */
export type ProcessName = ServiceName | `${ServiceName}-2`;

/** The services of docker-compose.yml as processes of this machine. */
export interface TopologyEnvironment extends Omit<Environment, 'start' | 'stop' | 'readiness'> {
  /** kill -9. */
  kill(process: ProcessName): Promise<void>;
  start(process: ProcessName): Promise<void>;
  stop(process: ProcessName): Promise<void>;
  readiness(process: ProcessName): ReturnType<typeof askReadiness>;
  /** Each service has a folder of its name in it. */
  readonly directory: string;
}

/** Starts them over the given servers, on free ports; more than one replica wants a store that is atomic. */
export async function startTopologyEnvironment(
  servers: { readonly nats: string; readonly mongo: string; readonly redis: string },
  { replicas = 1 }: { readonly replicas?: number } = {},
): Promise<TopologyEnvironment> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'signet-e2e-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const log = new ServiceLog();
  const say = (_service: string, line: string) => log.write(line);
  const environment = { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' };
  const topology = stack.use(
    await startTopology({ ...servers, directory, ports: 'free', replicas, environment, log: say }),
  );
  const again = new Map<ProcessName, RunningServer>();
  stack.defer(async () => {
    await Promise.all(Array.from(again.values(), (server) => server.stop()));
  });
  const { plan: adminPlan } = serviceOf(topology, 'admin-api');
  const tokenFile = join(adminPlan.environment.SIGNET_DATA_DIR ?? '', 'admin-token');
  const token = (await readFile(tokenFile, 'utf8')).trim();
  const { operator, events } = openOperator({ port: topology.port(8080), token });
  stack.use(events);
  const running = (name: ProcessName) => again.get(name) ?? serviceOf(topology, name);
  const readiness = (name: ProcessName) => askReadiness(serviceOf(topology, name).plan.healthPort);
  const rest = stack.move();
  return {
    ports: {
      est: topology.port(8443),
      http: topology.port(8081),
      mqtt: topology.port(8883),
      mqttProvisioning: topology.port(8884),
      gateway: topology.port(8445),
      bootstrap: topology.port(8444),
      admin: topology.port(8080),
    },
    ...{ operator, events, log, readiness, directory },
    stop: (name) => running(name).stop(),
    async kill(name) {
      const server = running(name);
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    async start(name) {
      const { plan } = serviceOf(topology, name);
      again.set(name, await startService(plan, { environment, log: say }));
      await untilReady(() => readiness(name));
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

function serviceOf(topology: RunningTopology, name: ProcessName) {
  const service = topology.services.get(name);
  if (service === undefined) throw new Error(`docker-compose.yml has no ${name}`);
  return service;
}
