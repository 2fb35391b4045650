import { connect } from 'node:net';
import { MongoClient } from 'mongodb';
import { type RunningServer, type ServerOptions, startServer } from './child.ts';

export type { RunningServer, ServerOptions, StartOptions } from './child.ts';
export { freePort, startServer } from './child.ts';

/**
 * nats-server with JetStream. The same `port` and `directory` again restart it with its streams. `config` is the path
 * of a configuration file; where it listens and stores stays as said here.
 */
export function startNats(
  binary: string,
  options: ServerOptions & { readonly config?: string } = {},
): Promise<RunningServer> {
  const config = options.config === undefined ? [] : ['-c', options.config];
  return startServer(
    {
      name: 'nats',
      binary,
      args: (port, directory) => [...config, '-a', '127.0.0.1', '-p', String(port), '-js', '-sd', directory],
      url: (port) => `nats://127.0.0.1:${port}`,
      answers: natsAnswers,
    },
    options,
  );
}

/** redis-server without persistence. */
export function startRedis(binary: string, options: ServerOptions = {}): Promise<RunningServer> {
  return startServer(
    {
      name: 'redis',
      binary,
      args: (port, directory) =>
        ['--bind', '127.0.0.1', '--port', String(port), '--dir', directory].concat([
          '--save',
          '',
          '--appendonly',
          'no',
        ]),
      url: (port) => `redis://127.0.0.1:${port}`,
      answers: redisAnswers,
    },
    options,
  );
}

/** FerretDB, which speaks MongoDB's protocol, over SQLite. The same `directory` again keeps the data. */
export function startFerretdb(binary: string, options: ServerOptions = {}): Promise<RunningServer> {
  return startServer(
    {
      name: 'ferretdb',
      binary,
      args: (port, directory) => [
        '--handler=sqlite',
        `--sqlite-url=file:${directory}/`,
        `--listen-addr=127.0.0.1:${port}`,
        '--debug-addr=-',
        `--state-dir=${directory}`,
        '--log-level=ERROR',
      ],
      env: { FERRETDB_TELEMETRY: 'disable', DO_NOT_TRACK: 'true' },
      url: (port) => `mongodb://127.0.0.1:${port}/`,
      answers: mongoAnswers,
    },
    options,
  );
}

/** mongo-java-server, which speaks MongoDB's protocol, over memory: what it holds ends with it. */
export function startMongoJavaServer(binary: string, options: ServerOptions = {}): Promise<RunningServer> {
  return startServer(
    {
      name: 'mongo-java-server',
      binary,
      args: (port) => [String(port)],
      url: (port) => `mongodb://127.0.0.1:${port}/`,
      answers: mongoAnswers,
    },
    options,
  );
}

/** Whether a server of this kind answers on 127.0.0.1, in its own protocol. */
export const natsAnswers = (port: number): Promise<boolean> => exchange(port, '', /^INFO \{/);
export const redisAnswers = (port: number): Promise<boolean> => exchange(port, 'PING\r\n', /^\+PONG/);
export const mongoAnswers = (port: number): Promise<boolean> =>
  mongoUrlAnswers(`mongodb://127.0.0.1:${port}/`);

export async function mongoUrlAnswers(url: string): Promise<boolean> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 1_000, connectTimeoutMS: 1_000 });
  try {
    await client.db('admin').command({ ping: 1 });
    return true;
  } catch {
    return false;
  } finally {
    await client.close();
  }
}

/** Whether what `host:port` answers to `say` matches. */
export function exchange(port: number, say: string, expect: RegExp, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 1_000 });
    let heard = '';
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => socket.write(say));
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      if (expect.test(heard)) done(true);
    });
    for (const event of ['error', 'timeout', 'close'] as const) socket.on(event, () => done(false));
  });
}
