import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { type RunningServer, startFerretdb, startNats, startRedis } from '@signet/tests/servers/start';

export type ServerName = 'nats' | 'mongo' | 'redis';

/** NATS, MongoDB's stand-in and Redis of one environment's own, to be taken away and brought back with their data. */
export interface Servers extends AsyncDisposable {
  readonly urls: Readonly<Record<ServerName, string>>;
  /** kill -9. */
  kill(name: ServerName): Promise<void>;
  /** Starts a killed one again, on its port, with its data. */
  restart(name: ServerName): Promise<void>;
}

/** Paths of the servers' executables; `''` for one that is not here. */
export function requireServers(): Readonly<Record<ServerName, string>> {
  return {
    nats: requireServer('nats-server'),
    mongo: requireServer('ferretdb'),
    redis: requireServer('redis-server'),
  };
}

const natsConfig = join(import.meta.dirname, '..', '..', '..', 'deploy', 'nats.conf');

export async function startServers(binaries: Readonly<Record<ServerName, string>>): Promise<Servers> {
  await using stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'signet-e2e-servers-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const start = async (name: ServerName, port?: number): Promise<RunningServer> => {
    const directory = join(root, name);
    await mkdir(directory, { recursive: true });
    const where = { directory, ...(port === undefined ? {} : { port }) };
    if (name === 'nats') return startNats(binaries.nats, { ...where, config: natsConfig });
    return name === 'mongo' ? startFerretdb(binaries.mongo, where) : startRedis(binaries.redis, where);
  };
  const running = new Map<ServerName, RunningServer>();
  stack.defer(async () => {
    for (const server of running.values()) await server.stop();
  });
  const first = async (name: ServerName) => {
    const server = await start(name);
    running.set(name, server);
    return server;
  };
  const [nats, mongo, redis] = await Promise.all([first('nats'), first('mongo'), first('redis')]);
  const ports = { nats: nats.port, mongo: mongo.port, redis: redis.port };
  const rest = stack.move();
  return {
    urls: { nats: nats.url, mongo: mongo.url, redis: redis.url },
    async kill(name) {
      const server = running.get(name);
      if (server === undefined) throw new Error(`${name} does not run`);
      running.delete(name);
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
      await server.stop();
    },
    async restart(name) {
      running.set(name, await start(name, ports[name]));
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
