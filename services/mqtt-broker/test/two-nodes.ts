import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestIdentity } from '@signet/pki/testing';
import { openTestFixture, type TestFixture } from '@signet/service/testing';
import { requireServer } from '@signet/tests/servers';
import { freePort, type RunningServer, startNats, startRedis } from '@signet/tests/servers/start';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { type BrokerProcess, startBrokerProcess } from './broker-process.ts';

const binaries = { nats: requireServer('nats-server'), redis: requireServer('redis-server') };

/** Whether NATS and Redis can be started here. */
export const hasServers = binaries.nats !== '' && binaries.redis !== '';

export type NodeName = 'one' | 'two';

/** Two broker nodes as processes over NATS and Redis of their own; this process stands for the platform around them. */
export type TwoNodes = AsyncDisposable & {
  readonly fixture: TestFixture;
  readonly natsUrl: string;
  readonly ports: Readonly<Record<NodeName, number>>;
  /** The node as it runs now. */
  node(name: NodeName): BrokerProcess;
  kill(name: NodeName): Promise<void>;
  start(name: NodeName): Promise<void>;
  /** A device that connects to one node, else to the other, over and over; its session is persistent. */
  device(identity: TestIdentity, first?: NodeName, options?: IClientOptions): MqttClient;
};

export async function openTwoNodes(env: Readonly<Record<string, string>> = {}): Promise<TwoNodes> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'signet-two-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const nats: RunningServer = stack.use(await startNats(binaries.nats, { directory }));
  const redis = stack.use(await startRedis(binaries.redis));
  const fixture = stack.use(await openTestFixture({ bus: nats.url, admission: { refuseWhenStale: false } }));
  const ports = { one: await freePort(), two: await freePort() };
  const running = stack.adopt(new Map<NodeName, BrokerProcess>(), async (nodes) => {
    await Promise.all(Array.from(nodes.values(), (node) => node[Symbol.asyncDispose]()));
  });
  const start = async (name: NodeName) => {
    const node = await startBrokerProcess({
      SIGNET_BUS: nats.url,
      SIGNET_REDIS: redis.url,
      SIGNET_INSTANCE: name,
      SIGNET_MQTT_PORT: String(ports[name]),
      SIGNET_DENYLIST_STALE_REFUSES: 'false',
      SIGNET_MQTT_CONNECTS_PER_MINUTE: '10000',
      SIGNET_LOG_LEVEL: 'info',
      ...env,
    });
    running.set(name, node);
  };
  await Promise.all([start('one'), start('two')]);
  const clients = stack.adopt(new Set<MqttClient>(), (all) => {
    for (const client of all) client.end(true);
  });
  const node = (name: NodeName) => {
    const found = running.get(name);
    if (found === undefined) throw new Error(`node ${name} does not run`);
    return found;
  };
  const rest = stack.move();
  return {
    ...{ fixture, ports, node, start, natsUrl: nats.url },
    async kill(name) {
      await node(name).kill();
      await node(name)[Symbol.asyncDispose]();
      running.delete(name);
    },
    device(identity, first = 'one', options = {}) {
      const order: NodeName[] = first === 'one' ? ['one', 'two'] : ['two', 'one'];
      const deviceOptions: IClientOptions = {
        protocol: 'mqtts',
        servers: order.map((name) => ({ host: '127.0.0.1', port: ports[name], protocol: 'mqtts' as const })),
        ca: fixture.pki.trustAnchors,
        ...{ cert: identity.cert, key: identity.key },
        clientId: identity.certificate.subject.commonName ?? '',
        ...{ clean: false, reconnectPeriod: 100, connectTimeout: 20_000 },
        ...options,
      };
      const client = connect(deviceOptions);
      client.on('error', () => {});
      clients.add(client);
      return client;
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
