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
  /** The port for a port of the compose file; the health port of each service is asked for by its name. */
  readonly port: (standard: number, service: string) => number;
};

/** A service as a process of this machine. */
export type ProcessPlan = {
  readonly name: string;
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
  return topology.map(({ name, environment }) => {
    const healthPort = substitutes.port(Number(environment.SIGNET_HEALTH_PORT), name);
    const replace = (variable: string, value: string): string => {
      if (variable === 'SIGNET_HEALTH_PORT') return String(healthPort);
      if (variable === 'SIGNET_DATA_DIR') return join(substitutes.directory, name);
      if (variable.endsWith('_BIND')) return '127.0.0.1';
      if (variable.endsWith('_PORT')) return String(substitutes.port(Number(value), name));
      return value
        .replace('nats://nats:4222', substitutes.nats)
        .replace('mongodb://mongo:27017/', substitutes.mongo)
        .replace('redis://redis:6379', substitutes.redis)
        .replace(/^(\w+:\/\/[^:/]+):(\d+)/, (url, host: string, port: string) => {
          const owner = standard.get(Number(port));
          return owner === undefined ? url : `${host}:${substitutes.port(Number(port), owner)}`;
        });
    };
    const replaced = Object.entries(environment).map(([key, value]) => [key, replace(key, value)]);
    return {
      name,
      main: join(repository, 'services', name, 'src', 'main.ts'),
      environment: {
        ...Object.fromEntries(replaced),
        SIGNET_BIND: '127.0.0.1',
        SIGNET_HEALTH_BIND: '127.0.0.1',
      },
      healthPort,
    };
  });
}

function portVariables(environment: Readonly<Record<string, string>>): number[] {
  return Object.entries(environment)
    .filter(([variable]) => variable.endsWith('_PORT') && variable !== 'SIGNET_HEALTH_PORT')
    .map(([, value]) => Number(value));
}
