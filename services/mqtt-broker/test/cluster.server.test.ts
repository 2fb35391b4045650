import type { TestPki } from '@signet/pki/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClusterFixture, hasServers, openClusterFixture } from './cluster-fixture.ts';
import { type BrokerFixture, closeOf, messagesOf, until } from './fixture.ts';

let cluster: ClusterFixture;
let pki: TestPki;
let one: BrokerFixture;
let two: BrokerFixture;

beforeEach(async () => {
  if (!hasServers) return;
  cluster = await openClusterFixture();
  pki = cluster.pki;
});
afterEach(() => cluster?.[Symbol.asyncDispose]());

const node = (instance: string) => cluster.node(instance);

async function bothNodes(): Promise<void> {
  one = await node('one');
  two = await node('two');
}

const identityOf = (deviceId: string) => pki.operational('acme', deviceId);
const sendDown = (deviceId: string, text: string) =>
  one.fixture.deps.bus.send(`signet.mqtt.acme.${deviceId}.down.x`, Buffer.from(text));
const waiting = (deviceId: string) => cluster.waiting(deviceId);
const reasons = () =>
  one.events
    .filter(({ type }) => type === 'DEVICE_DISCONNECTED')
    .map(({ data }) => (data as { reason: string }).reason);

describe.skipIf(!hasServers)('two broker nodes over NATS and Redis', () => {
  it('a device that connects to another node takes its session with it', async () => {
    await bothNodes();
    const first = await one.connected(identityOf('dev-1'), { clean: false });
    await first.subscribeAsync(['d/acme/dev-1/down/x', 'd/acme/dev-1/down/y/#'], { qos: 1 });
    const closed = closeOf(first);
    const second = await two.connected(identityOf('dev-1'), { clean: false });
    const messages = messagesOf(second);
    await closed;
    await until(() => expect(reasons()).toEqual(['takeover']));
    const { data } = await one.event('DEVICE_CONNECTED', (event) => event.data.node === 'two');
    expect(data.deviceId).toBe('dev-1');
    await sendDown('dev-1', 'once');
    await until(() => expect(messages).toEqual([['d/acme/dev-1/down/x', 'once']]));
  });

  it('a message reaches a device on whichever node it is; QoS 0 and 1 in turn, none lost', async () => {
    await bothNodes();
    const clients = [
      await one.connected(identityOf('dev-1')),
      await two.connected(identityOf('dev-2'), { clean: false }),
    ];
    const received = await Promise.all(
      clients.map(async (client, n) => {
        await client.subscribeAsync(`d/acme/dev-${n + 1}/down/#`, { qos: n === 0 ? 0 : 1 });
        return messagesOf(client);
      }),
    );
    const texts = Array.from({ length: 50 }, (_, n) => `${n}`);
    for (const text of texts) for (const device of ['dev-1', 'dev-2']) await sendDown(device, text);
    await until(() => {
      for (const messages of received) expect(messages.map(([, text]) => text)).toEqual(texts);
    });
  });

  it('messages for a device that is offline wait once, and come where it connects next', async () => {
    await bothNodes();
    const first = await one.connected(identityOf('dev-1'), { clean: false });
    await first.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await first.endAsync();
    await one.event('DEVICE_DISCONNECTED');
    for (const text of ['1', '2', '3']) await sendDown('dev-1', text);
    await until(async () => expect(await waiting('dev-1')).toBe(3));
    const second = two.client(identityOf('dev-1'), { clean: false });
    const messages = messagesOf(second);
    await until(() => expect(messages.map(([, text]) => text)).toEqual(['1', '2', '3']));
    await second.endAsync();
    await until(() => expect(reasons()).toHaveLength(2));
    await sendDown('dev-1', '4');
    await until(async () => expect(await waiting('dev-1')).toBe(1));
    const third = one.client(identityOf('dev-1'), { clean: false });
    const later = messagesOf(third);
    await until(() => expect(later.map(([, text]) => text)).toEqual(['4']));
  });

  it('F72: a denial ends the sessions on every node', async () => {
    await bothNodes();
    const clients = [await one.connected(identityOf('dev-1')), await two.connected(identityOf('dev-2'))];
    const closed = clients.map(closeOf);
    await one.fixture.deny(
      { kind: 'device', account: 'acme', deviceId: 'dev-1' },
      { kind: 'device', account: 'acme', deviceId: 'dev-2' },
    );
    await Promise.all(closed);
    await until(() => expect(reasons()).toEqual(['denied', 'denied']));
    for (const deviceId of ['dev-1', 'dev-2']) {
      expect(await one.refusal(identityOf(deviceId))).toBe(5);
      expect(await two.refusal(identityOf(deviceId))).toBe(5);
    }
  });

  it('Redis away in mid-flight: what was acknowledged is on the bus, new sessions wait, readiness says so', async () => {
    one = await node('one');
    const heard: string[] = [];
    await one.fixture.deps.bus.listen('signet.mqtt.*.*.up.>', ({ payload }) => {
      heard.push(Buffer.from(payload).toString());
    });
    const client = await one.connected(identityOf('dev-1'));
    const will = {
      topic: 'd/acme/dev-3/up/gone',
      payload: Buffer.from('bye'),
      qos: 1 as const,
      retain: false,
    };
    const dying = await one.connected(identityOf('dev-3'), { will, clean: false });
    await cluster.stop('redis');
    await until(async () => {
      const { ready, checks } = await one.fixture.deps.health.report();
      expect(ready).toBe(false);
      expect(checks['mqtt-broker.sessions']?.reason).toContain('Redis is unavailable');
    });
    await client.publishAsync('d/acme/dev-1/up/x', 'through', { qos: 1 });
    expect(heard).toEqual(['through']);
    dying.stream.destroy();
    await until(() => expect(heard).toEqual(['through', 'bye']));
    expect(await one.refusal(identityOf('dev-2'))).toBe(3);
    await one.event('DEVICE_REFUSED', ({ data }) => data.code === 'unavailable');
    await cluster.start('redis');
    await until(async () => expect((await one.fixture.deps.health.report()).ready).toBe(true));
    await one.connected(identityOf('dev-2'));
    expect(client.connected).toBe(true);
  });

  it('F7: with NATS cut the listener goes on deciding; nothing is acknowledged, and nothing acknowledged is lost', async () => {
    one = await node('one');
    const heard: string[] = [];
    await one.fixture.deps.bus.listen('signet.mqtt.*.*.up.>', ({ payload }) => {
      heard.push(Buffer.from(payload).toString());
    });
    const client = one.client(identityOf('dev-1'), { clean: false, reconnectPeriod: 50 });
    await until(() => expect(client.connected).toBe(true));
    await client.publishAsync('d/acme/dev-1/up/x', 'before', { qos: 1 });
    await cluster.stop('nats');
    await until(async () => expect((await one.fixture.deps.health.report()).ready).toBe(false));
    let isAcknowledged = false;
    const closed = closeOf(client);
    const published = client.publishAsync('d/acme/dev-1/up/x', 'during', { qos: 1 }).then(() => {
      isAcknowledged = true;
    });
    await closed;
    expect(isAcknowledged).toBe(false);
    await one.connected(identityOf('dev-2'));
    expect(await one.refusal(pki.bootstrap('dev-3'))).toBe(5);
    await cluster.start('nats');
    await published;
    await until(() => expect([...new Set(heard)]).toEqual(['before', 'during']));
  });

  it('Redis away at the start: the broker waits for it, and says so', async () => {
    await cluster.stop('redis');
    const starting = node('one');
    await cluster.start('redis');
    one = await starting;
    await one.connected(identityOf('dev-1'), { clean: false });
  });

  it('a node that stops closes its sessions, and leaves them to the other', async () => {
    await bothNodes();
    const client = await one.connected(identityOf('dev-1'), { clean: false });
    await client.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    const closed = closeOf(client);
    await one.service[Symbol.asyncDispose]();
    await closed;
    await until(() => expect(reasons()).toEqual(['shutdown']));
    const second = await two.connected(identityOf('dev-1'), { clean: false });
    const messages = messagesOf(second);
    await sendDown('dev-1', 'still subscribed');
    await until(() => expect(messages).toHaveLength(1));
  });
});
