import process from 'node:process';
import type { MqttClient } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { type ClusterFixture, hasServers, openClusterFixture } from './cluster-fixture.ts';
import { type BrokerFixture, openBrokerFixture, until } from './fixture.ts';

/** Reconnects in all; the whole of it is 1,000. */
const RECONNECTS = Number(process.env.SIGNET_TEST_RECONNECTS ?? 60);
const DEVICES = 10;
const ENV = {
  SIGNET_MQTT_CONNECTS_PER_MINUTE: '100000',
  SIGNET_MQTT_CONNECTS_PER_ADDRESS_PER_MINUTE: '100000',
};

let ended: AsyncDisposable | undefined;
afterEach(() => ended?.[Symbol.asyncDispose]());

type Heard = { readonly stored: number[]; readonly plain: number[]; readonly again: number };

/** A device that loses its connection over and over, while stored and plain messages are sent to it. */
async function reconnects(nodes: readonly BrokerFixture[], deviceId: string, times: number): Promise<Heard> {
  const [first] = nodes;
  if (first === undefined) throw new Error('no node');
  const identity = first.fixture.pki.operational('acme', deviceId);
  const { bus } = first.fixture.deps;
  const stored: number[] = [];
  const plain: number[] = [];
  let repeated = 0;
  const listen = (client: MqttClient) =>
    client.on('message', (topic, payload, { dup }) => {
      const list = topic.endsWith('/stored') ? stored : plain;
      const n = Number(payload.toString());
      // a repetition says that it is one
      if (dup && list.includes(n)) repeated++;
      else list.push(n);
    });
  const connectTo = async (node: BrokerFixture) => {
    const client = node.client(identity, { clean: false });
    listen(client);
    await until(() => expect(client.connected).toBe(true));
    return client;
  };
  let client = await connectTo(first);
  await client.subscribeAsync([`d/acme/${deviceId}/down/#`, `d/acme/${deviceId}/down/+`], { qos: 1 });
  let sent = 0;
  const send = async () => {
    const payload = Buffer.from(String(sent++));
    await bus.send(`signet.mqtt.acme.${deviceId}.down.plain`, payload);
    await bus.send(`signet.mqtt.acme.${deviceId}.down.stored`, payload, { stored: true, deadlineMs: 60_000 });
  };
  for (let n = 1; n <= times; n++) {
    const sending = (async () => {
      for (let i = 0; i < 3; i++) await send();
    })();
    // in three ways: goodbye, a broken connection, a new connection while the old one is there
    if (n % 3 === 0) await client.endAsync();
    else if (n % 3 === 1) client.stream.destroy();
    client = await connectTo(nodes[n % nodes.length] ?? first);
    await sending;
  }
  const all = Array.from({ length: sent }, (_, n) => n);
  await until(() => {
    expect(stored.length).toBeGreaterThanOrEqual(sent);
    expect(new Set(plain).size).toBe(sent);
  });
  expect(stored).toEqual(all);
  if (nodes.length === 1) expect(plain).toEqual(all);
  await client.endAsync();
  return { stored, plain, again: repeated };
}

async function all(nodes: readonly BrokerFixture[]): Promise<void> {
  const times = Math.ceil(RECONNECTS / DEVICES);
  await Promise.all(Array.from({ length: DEVICES }, (_, n) => reconnects(nodes, `dev-${n}`, times)));
  for (const { events } of nodes)
    expect(events.filter(({ type }) => type === 'DEVICE_REFUSED').map(({ data }) => data)).toEqual([]);
}

describe(`devices that connect again and again (${RECONNECTS} times) under stored and plain messages`, () => {
  it('embedded: lose nothing, get it in order and once, and are blamed for nothing', async () => {
    const broker = await openBrokerFixture({ env: ENV });
    ended = broker;
    await all([broker]);
  }, 300_000);

  it.skipIf(!hasServers)(
    'over NATS and Redis: the same',
    async () => {
      const cluster: ClusterFixture = await openClusterFixture();
      ended = cluster;
      await all([await cluster.node('one', { env: ENV })]);
    },
    300_000,
  );

  it.skipIf(!hasServers)(
    'over NATS and Redis, moving between two nodes: the same of stored ones; plain ones may come twice',
    async () => {
      const cluster: ClusterFixture = await openClusterFixture();
      ended = cluster;
      await all([await cluster.node('one', { env: ENV }), await cluster.node('two', { env: ENV })]);
    },
    300_000,
  );
});
