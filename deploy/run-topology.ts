import { mkdirSync } from 'node:fs';
import { freePort, type RunningServer, type StartOptions, startServer } from '@signet/tests/servers/start';
import { startBalancer } from './balancer.ts';
import {
  asProcesses,
  type ComposeService,
  type ProcessPlan,
  readTopology,
  replicaNames,
  type Substitutes,
} from './topology.ts';

export type RunningTopology = AsyncDisposable & {
  /** By the name of the process: that of the service, and `est-ca-2` for its second replica. */
  readonly services: ReadonlyMap<string, RunningServer & { readonly plan: ProcessPlan }>;
  /** The port for a port of the compose file: of the service, or of what passes connections on to its replicas. */
  port(standard: number): number;
};

export type TopologyOptions = Pick<Substitutes, 'nats' | 'mongo' | 'redis' | 'directory'> & {
  /** `standard`: the ports of the compose file, and health ports from 9464 on; `free`: whatever is free. */
  readonly ports: 'standard' | 'free';
  /** How many of each service; connections go to them by turns. Wants a store that writes documents atomically. */
  readonly replicas?: number;
  /** More environment for every service; wins over the compose file. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Hears each line that a service logs. */
  readonly log?: (service: string, line: string) => void;
  readonly signal?: AbortSignal;
};

/**
 * Starts the topology of docker-compose.yml as processes of this machine, and waits until all are ready.
 * @throws Error with the log of a service that does not get ready; the others are stopped
 */
export async function startTopology(options: TopologyOptions): Promise<RunningTopology> {
  const topology = readTopology();
  const { replicas = 1 } = options;
  const processes = topology.flatMap(({ name }) => replicaNames(name, replicas));
  const standardPorts = topology.flatMap(({ ports }) => ports);
  const chosen = await choosePorts(options.ports, processes, standardPorts);
  const port = (standard: number, process = '') =>
    chosen.get(`${process}:${standard}`) ?? chosen.get(`:${standard}`) ?? standard;
  const stack = new AsyncDisposableStack();
  const behind = await listenersBehind(replicas, topology);
  const plans = asProcesses(topology, {
    ...options,
    port,
    listens: (standard, process) => behind.get(`${process}:${standard}`) ?? port(standard, process),
  });
  for (const standard of replicas > 1 ? standardPorts : []) {
    const targets = [...behind].filter(([key]) => key.endsWith(`:${standard}`)).map(([, target]) => target);
    stack.use(await startBalancer(port(standard), targets));
  }
  const givenUp = new AbortController();
  const signal = AbortSignal.any([givenUp.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const starts = plans.map(async (plan) => {
    const server = await startService(plan, { ...options, signal });
    return { ...stack.use(server), plan };
  });
  const first = Promise.all(starts);
  first.catch((reason) => givenUp.abort(reason));
  await Promise.allSettled(starts);
  const running = await first.catch(async (reason) => {
    await stack.disposeAsync();
    throw reason;
  });
  return {
    services: new Map(running.map((service) => [service.plan.name, service])),
    port,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Starts one service of the topology; a test that killed it starts it again with the `plan` that it had. */
export function startService(
  plan: ProcessPlan,
  options: Pick<TopologyOptions, 'environment' | 'log' | 'signal'> = {},
): Promise<RunningServer> {
  const environment = { ...plan.environment, ...options.environment };
  const directory = environment.SIGNET_DATA_DIR ?? '';
  mkdirSync(directory, { recursive: true });
  const { log, signal } = options;
  const start: StartOptions = {
    deadlineMs: 60_000,
    stopMs: 30_000,
    ...(signal === undefined ? {} : { signal }),
    ...(log === undefined ? {} : { output: linewise((line) => log(plan.name, line)) }),
  };
  return startServer(
    {
      name: plan.name,
      binary: process.execPath,
      args: () => [plan.main],
      env: environment,
      url: (port) => `http://127.0.0.1:${port}`,
      answers: ready,
    },
    { ...start, port: plan.healthPort, directory },
  );
}

async function ready(healthPort: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(2_000);
    return (await fetch(`http://127.0.0.1:${healthPort}/ready`, { signal })).ok;
  } catch {
    return false;
  }
}

async function choosePorts(
  ports: 'standard' | 'free',
  processes: readonly string[],
  standard: readonly number[],
): Promise<Map<string, number>> {
  const choose = async (byStandard: number) => (ports === 'free' ? freePort() : byStandard);
  const health = processes.map(async (name, i) => [`${name}:9464`, await choose(9464 + i)] as const);
  const listeners = standard.map(async (port) => [`:${port}`, await choose(port)] as const);
  return new Map(await Promise.all([...health, ...listeners]));
}

/** The ports of replicas, by process and port of the compose file; none where there is one of each service. */
async function listenersBehind(
  replicas: number,
  topology: readonly ComposeService[],
): Promise<Map<string, number>> {
  if (replicas === 1) return new Map();
  const wanted = topology.flatMap(({ name, ports }) =>
    replicaNames(name, replicas).flatMap((process) => ports.map((port) => `${process}:${port}`)),
  );
  return new Map(await Promise.all(wanted.map(async (key) => [key, await freePort()] as const)));
}

function linewise(hear: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) hear(line);
  };
}
