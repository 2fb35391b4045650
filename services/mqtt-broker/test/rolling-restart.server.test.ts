import { connect, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClusterFixture, hasServers, openClusterFixture } from './cluster-fixture.ts';
import type { BrokerFixture } from './fixture.ts';
import { storedUp } from './stored-up.ts';

const DEVICES = 24;
/** One device each step of 50 ms. */
const SHED_PER_SECOND = 20;

let cluster: ClusterFixture;
let one: BrokerFixture;
let two: BrokerFixture;
const clients = new Set<MqttClient>();

beforeEach(async () => {
  if (!hasServers) return;
  cluster = await openClusterFixture();
  const env = { SIGNET_MQTT_DRAIN_PER_SECOND: String(SHED_PER_SECOND), SIGNET_STOP_SECONDS: '120' };
  one = await cluster.node('one', { env });
  two = await cluster.node('two', { env });
});
afterEach(async () => {
  for (const client of clients) client.end(true);
  clients.clear();
  await cluster?.[Symbol.asyncDispose]();
});

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 40_000, interval: 20 });

/** A device that connects to node one, else to node two. */
function device(id: string): MqttClient {
  const { cert, key } = cluster.pki.operational('acme', id);
  const servers = [one.port, two.port].map((port) => ({
    host: '127.0.0.1',
    port,
    protocol: 'mqtts' as const,
  }));
  const client = connect({
    ...{ protocol: 'mqtts', servers, ca: cluster.pki.trustAnchors, cert, key },
    ...{ clientId: id, clean: false, reconnectPeriod: 50, connectTimeout: 20_000 },
  });
  client.on('error', () => {});
  clients.add(client);
  return client;
}

describe.skipIf(!hasServers)('a rolling restart', () => {
  it('sheds devices at the set rate, not all at once; the other node takes each up, with its messages', async () => {
    const ids = Array.from({ length: DEVICES }, (_, n) => `dev-${n}`);
    const devices = await Promise.all(
      ids.map(async (id) => {
        const client = device(id);
        const heard: string[] = [];
        client.on('message', (_topic, payload) => heard.push(payload.toString()));
        await client.subscribeAsync(`d/acme/${id}/down/#`, { qos: 1 });
        return { id, client, heard };
      }),
    );
    const sessionsOf = async (node: BrokerFixture) => {
      const lines = (await node.fixture.exposition()).matchAll(/^signet_mqtt_sessions\{[^}]*\} (\d+)/gm);
      return Array.from(lines, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
    };
    await until(async () => expect(await sessionsOf(one)).toBe(DEVICES));

    // in the order in which the platform was told
    const moves: string[] = [];
    const { bus } = two.fixture.deps;
    await bus.tail({ types: ['DEVICE_CONNECTED', 'DEVICE_DISCONNECTED'], from: 'new' }, ({ type, data }) => {
      moves.push(`${type} ${(data as { node: string }).node}`);
    });
    const startedAt = performance.now();
    const stopped = one.service[Symbol.asyncDispose]();
    const sent = ids.map((id) =>
      bus.send(`signet.mqtt.acme.${id}.down.x`, Buffer.from('meanwhile'), {
        ...{ stored: true, deadlineMs: 40_000 },
      }),
    );
    const published = devices.map(({ id, client }) =>
      client.publishAsync(`d/acme/${id}/up/x`, `from ${id}`, { qos: 1 }),
    );
    await stopped;
    expect(performance.now() - startedAt).toBeGreaterThan(((DEVICES - 1) * 1000) / SHED_PER_SECOND);
    await Promise.all([...sent, ...published]);
    await until(async () => expect(await sessionsOf(two)).toBe(DEVICES));
    await until(() => {
      for (const { heard } of devices) expect(heard).toContain('meanwhile');
      expect(moves.filter((move) => move === 'DEVICE_CONNECTED two')).toHaveLength(DEVICES);
    });
    // some were up again before the last was shed
    expect(moves.indexOf('DEVICE_CONNECTED two')).toBeLessThan(moves.lastIndexOf('DEVICE_DISCONNECTED one'));
    for (const { data } of one.events.filter(({ type }) => type === 'DEVICE_DISCONNECTED'))
      expect(data).toMatchObject({ reason: 'shutdown', node: 'one' });
    const stored = await storedUp(cluster.natsUrl);
    for (const { id } of devices) expect(stored.get(id)).toContain(`from ${id}`);
  }, 120_000);
});
