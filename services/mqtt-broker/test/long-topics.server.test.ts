import { connect } from '@nats-io/transport-node';
import { MAX_SUBJECT_BYTES } from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClusterFixture, hasServers, openClusterFixture } from './cluster-fixture.ts';
import { type BrokerFixture, closeOf, messagesOf, until } from './fixture.ts';

let cluster: ClusterFixture;
let node: BrokerFixture;
let watch: NodeJS.Timeout;
/** What was wrong with the node's connection to NATS at any time; a reconnection takes a hundred of these looks. */
let failures: string[];
beforeEach(async () => {
  if (!hasServers) return;
  cluster = await openClusterFixture();
  // packets may be larger here than what NATS carries
  node = await cluster.node('one', { env: { SIGNET_MQTT_MAX_PACKET_BYTES: '4194304' } });
  failures = [];
  watch = setInterval(() => {
    const failure = node.fixture.deps.bus.failure();
    if (failure !== undefined) failures.push(failure);
  }, 1);
});
afterEach(async () => {
  clearInterval(watch);
  await cluster?.[Symbol.asyncDispose]();
});

const identityOf = (deviceId: string) => cluster.pki.operational('acme', deviceId);

describe.skipIf(!hasServers)('over NATS', () => {
  it.each([
    ['a topic of 4 KB', `d/acme/dev-1/up/${'x'.repeat(4000)}`, 1, 'topic-not-allowed'],
    ['a topic that trebles on the bus', `d/acme/dev-1/up/${'ü'.repeat(1000)}`, 1, 'topic-not-allowed'],
    ['a payload above what NATS carries', 'd/acme/dev-1/up/x', 1_200_000, 'packet-too-large'],
  ])(
    '%s ends the session of that device alone, at any QoS: others are served on',
    async (_what, topic, bytes, code) => {
      const other = await node.connected(identityOf('dev-2'));
      for (const qos of [0, 1, 2] as const) {
        const client = await node.connected(identityOf('dev-1'));
        const closed = closeOf(client);
        client.publish(topic, Buffer.alloc(bytes), { qos });
        await closed;
        client.end(true);
        await other.publishAsync('d/acme/dev-2/up/x', 'served', { qos: 1 });
      }
      const { data } = await node.event('DEVICE_REFUSED', (event) => event.data.code === code);
      expect(data).toMatchObject({ deviceId: 'dev-1', listener: 'mqtt' });
      const left = await node.event('DEVICE_DISCONNECTED');
      expect(left.data.reason).toBe('protocol');
      expect(failures).toEqual([]);
    },
  );

  it('a downstream that stores what no device can be sent holds up no message of other devices', async () => {
    const clients = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const client = await node.connected(identityOf(`dev-${n}`), { clean: false });
        await client.subscribeAsync(`d/acme/dev-${n}/down/#`, { qos: 1 });
        return { client, heard: messagesOf(client) };
      }),
    );
    const downstream = await connect({ servers: cluster.natsUrl });
    try {
      const levels = { long: 'x'.repeat(MAX_SUBJECT_BYTES + 900), deep: Array(150).fill('x').join('.') };
      for (let n = 0; n < 20; n++) {
        for (const level of Object.values(levels))
          downstream.publish(`signet.stored.mqtt.acme.dev-${n}.down.${level}`, 'never');
        downstream.publish(`signet.stored.mqtt.acme.dev-${n}.down.x`, 'after');
      }
      await downstream.flush();
      await until(() => {
        for (const { heard } of clients) expect(heard.map(([, text]) => text)).toEqual(['after']);
      });
      await until(async () => expect((await cluster.stored()).messages).toBe(0));
    } finally {
      await downstream.close();
    }
    expect(failures).toEqual([]);
  });
});
