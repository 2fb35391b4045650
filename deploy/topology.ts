import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const repository = join(import.meta.dirname, '..');

/** A service of docker-compose.yml that runs our image. */
export type ComposeService = {
  /** Its name there, which is that of its folder below services/. */
  readonly name: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Ports inside the container that are published. */
  readonly ports: readonly number[];
};

type ComposeFile = {
  services: Record<
    string,
    { image: string; command?: string[]; environment?: Record<string, string | number>; ports?: string[] }
  >;
};

/** The six services as docker-compose.yml has them, `${NAME:-default}` filled in from `env`. */
export function readTopology(env: Readonly<Record<string, string | undefined>> = {}): ComposeService[] {
  const text = readFileSync(join(repository, 'docker-compose.yml'), 'utf8');
  const filled = text.replace(
    /\$\{(\w+):-([^}]*)\}/g,
    (_, name: string, byDefault: string) => env[name] || byDefault,
  );
  const { services } = parse(filled, { merge: true }) as ComposeFile;
  return Object.entries(services)
    .filter(([, service]) => service.image === 'signet')
    .map(([name, { command = [], environment = {}, ports = [] }]) => ({
      name,
      command,
      environment: Object.fromEntries(
        Object.entries(environment).map(([key, value]) => [key, String(value)]),
      ),
      ports: ports.map((port) => Number(port.split(':').at(-1))),
    }));
}

/** Where the servers of the topology run, and what else differs when containers become processes of one machine. */
export type Substitutes = {
  /** `nats://…`, for `nats://nats:4222`. */
  readonly nats: string;
  /** `mongodb://host:port/`, for `mongodb://mongo:27017/`; the database's name stays. */
  readonly mongo: string;
  /** `redis://…`, for `redis://redis:6379`. */
  readonly redis: string;
  /** Each service gets a folder of its own name in it, for its volume. */
  readonly directory: string;
  /** The port for a port of the compose file; the health port of each process is asked for by its name. */
  readonly port: (standard: number, process: string) => number;
  /** How many of each service. Each has a folder of its own; replicas of est-ca share the folder of keys. */
  readonly replicas?: number;
  /** Where a replica listens, when something else takes connections on `port` and passes them on. */
  readonly listens?: (standard: number, process: string) => number;
};

/** A service as a process of this machine. */
export type ProcessPlan = {
  readonly name: string;
  /** The service that it is one of: its `name`, but for the second replica and those after it. */
  readonly service: string;
  /** Path of its main.ts. */
  readonly main: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly healthPort: number;
};

/**
 * The same topology as processes: the compose file's environment, in which hosts, ports and volumes are replaced, and
 * listeners bind loopback alone.
 */
export function asProcesses(topology: readonly ComposeService[], substitutes: Substitutes): ProcessPlan[] {
  const standard = new Map(
    topology.flatMap(({ name, environment }) =>
      portVariables(environment).map((port) => [port, name] as const),
    ),
  );
  const { replicas = 1, port, listens = port } = substitutes;
  const keys = join(substitutes.directory, 'est-ca', 'est-ca', 'keys');
  const plan = ({ name: service, environment }: ComposeService, name: string): ProcessPlan => {
    const healthPort = port(Number(environment.SIGNET_HEALTH_PORT), name);
    const replace = (variable: string, value: string): string => {
      if (variable === 'SIGNET_HEALTH_PORT') return String(healthPort);
      if (variable === 'SIGNET_DATA_DIR') return join(substitutes.directory, name);
      if (variable.endsWith('_BIND')) return '127.0.0.1';
      if (variable.endsWith('_PORT')) return String(listens(Number(value), name));
      return value
        .replace('nats://nats:4222', substitutes.nats)
        .replace('mongodb://mongo:27017/', substitutes.mongo)
        .replace('redis://redis:6379', substitutes.redis)
        .replace(/^(\w+:\/\/[^:/]+):(\d+)/, (url, host: string, given: string) => {
          const owner = standard.get(Number(given));
          return owner === undefined ? url : `${host}:${port(Number(given), owner)}`;
        });
    };
    const replaced = Object.entries(environment).map(([key, value]) => [key, replace(key, value)]);
    return {
      name,
      service,
      main: join(repository, 'services', service, 'src', 'main.ts'),
      environment: {
        ...Object.fromEntries(replaced),
        SIGNET_BIND: '127.0.0.1',
        SIGNET_HEALTH_BIND: '127.0.0.1',
        ...(replicas > 1 && service === 'est-ca' ? { SIGNET_EST_KEY_DIR: keys } : {}),
      },
      healthPort,
    };
  };
  return topology.flatMap((service) =>
    replicaNames(service.name, replicas).map((name) => plan(service, name)),
  );
}

/** `est-ca`, `est-ca-2`, … */
export function replicaNames(service: string, replicas: number): readonly string[] {
  return Array.from({ length: replicas }, (_, index) => (index === 0 ? service : `${service}-${index + 1}`));
}

function portVariables(environment: Readonly<Record<string, string>>): number[] {
  return Object.entries(environment)
    .filter(([variable]) => variable.endsWith('_PORT') && variable !== 'SIGNET_HEALTH_PORT')
    .map(([, value]) => Number(value));
}
