import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { MQTT_DOWN_STREAM } from '@signet/contracts';
import { createTestPki, type TestPki } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { freePort, type RunningServer, startNats, startServer } from '@signet/tests/servers/start';
import { Redis } from 'ioredis';
import { type BrokerFixture, openBrokerFixture } from './fixture.ts';

const binaries = { nats: requireServer('nats-server'), redis: requireServer('redis-server') };

/** Whether NATS and Redis can be started here. */
export const hasServers = binaries.nats !== '' && binaries.redis !== '';

/** Broker nodes in this process over NATS and Redis of their own, which can be stopped and started with their data. */
export type ClusterFixture = AsyncDisposable & {
  readonly pki: TestPki;
  readonly natsUrl: string;
  readonly redisUrl: string;
  /** A node of the platform; the one that is called `one` also stands for its authorities. */
  node(instance: string, options?: NodeOptions): Promise<BrokerFixture>;
  stop(server: 'nats' | 'redis'): Promise<void>;
  start(server: 'nats' | 'redis'): Promise<void>;
  /** Messages that were stored for devices and no broker has dealt with; how many of them were tried in vain. */
  stored(): Promise<{ readonly messages: number; readonly triedAgain: number }>;
  /** How many messages wait for this device. */
  waiting(deviceId: string): Promise<number>;
};

export type NodeOptions = Omit<Parameters<typeof openBrokerFixture>[0] & object, 'pki' | 'bus' | 'serve'> & {
  /** Another way to the same NATS. */
  readonly natsUrl?: string;
};

export async function openClusterFixture(): Promise<ClusterFixture> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'signet-cluster-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const pki = createTestPki();
  const ports = { nats: await freePort(), redis: await freePort() };
  const natsUrl = `nats://127.0.0.1:${ports.nats}`;
  const redisUrl = `redis://127.0.0.1:${ports.redis}`;
  const starters = {
    nats: () => startNats(binaries.nats, { port: ports.nats, directory: join(directory, 'nats') }),
    redis: () => startDurableRedis(ports.redis, directory),
  };
  const running = new Map<string, RunningServer>();
  const start = async (name: 'nats' | 'redis') => {
    running.set(name, await starters[name]());
  };
  const stop = async (name: 'nats' | 'redis') => {
    await running.get(name)?.stop();
    running.delete(name);
  };
  stack.defer(async () => {
    for (const name of ['nats', 'redis'] as const) await stop(name);
  });
  await Promise.all([start('nats'), start('redis')]);
  const nodes = stack.use(new AsyncDisposableStack());
  const rest = stack.move();
  return {
    ...{ pki, natsUrl, redisUrl, start, stop },
    async node(instance, { env, natsUrl: bus = natsUrl, ...options } = {}) {
      return nodes.use(
        await openBrokerFixture({
          ...options,
          ...{ pki, bus },
          ...(instance === 'one' ? {} : { serve: [] }),
          env: {
            SIGNET_REDIS: redisUrl,
            SIGNET_INSTANCE: instance,
            SIGNET_MQTT_STORE_SECONDS: '1',
            ...env,
          },
        }),
      );
    },
    async stored() {
      const connection = await connect({ servers: natsUrl });
      try {
        const manager = await jetstreamManager(connection);
        const { state } = await manager.streams.info(MQTT_DOWN_STREAM);
        const consumers = await manager.consumers.list(MQTT_DOWN_STREAM).next();
        const triedAgain = consumers.reduce((sum, { num_redelivered }) => sum + num_redelivered, 0);
        return { messages: state.messages, triedAgain };
      } finally {
        await connection.close();
      }
    },
    async waiting(deviceId) {
      const connection = new Redis(redisUrl);
      try {
        return await connection.zcard(`signet:session-queue:${encodeURIComponent(`acme/${deviceId}`)}`);
      } finally {
        connection.disconnect();
      }
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** Redis that has written what it answered: as sessions that outlive it need it. */
function startDurableRedis(port: number, directory: string): Promise<RunningServer> {
  return startServer(
    {
      name: 'redis',
      binary: binaries.redis,
      args: () =>
        ['--bind', '127.0.0.1', '--port', String(port), '--dir', directory].concat([
          ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
        ]),
      url: () => `redis://127.0.0.1:${port}`,
      answers: async () => {
        const connection = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => null });
        connection.on('error', () => {});
        try {
          await connection.connect();
          return (await connection.ping()) === 'PONG';
        } catch {
          return false;
        } finally {
          connection.disconnect();
        }
      },
    },
    { port, directory },
  );
}
