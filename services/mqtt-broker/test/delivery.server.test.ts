import type { TLSSocket } from 'node:tls';
import { requireServer } from '@signet/tests/servers';
import { generate, type IPublishPacket, parser as mqttParser, type Packet } from 'mqtt-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, closeOf, messagesOf, openBrokerFixture, until } from './fixture.ts';
import { connectPacket, openRaw } from './raw-client.ts';

const redis = requireServer('redis');
const DOWN = 'd/acme/dev-1/down';

let broker: BrokerFixture;
afterEach(() => broker[Symbol.asyncDispose]());

const stores = [
  ['SQLite', true, {}],
  ['Redis', redis !== '', { SIGNET_REDIS: `${redis}/12` }],
] as const;

/** What a device sends and receives, packet by packet; it acknowledges nothing by itself. */
async function rawDevice(identity = identityOf(), options: object = { clean: false }) {
  const socket = await openRaw(broker, identity);
  const packets: Packet[] = [];
  const parser = mqttParser();
  parser.on('packet', (packet) => packets.push(packet));
  socket.on('data', (chunk) => parser.parse(chunk));
  socket.write(connectPacket('dev-1', options));
  await until(() => expect(packets[0]?.cmd).toBe('connack'));
  const published = () => packets.filter((packet): packet is IPublishPacket => packet.cmd === 'publish');
  return { socket, packets, published, texts: () => published().map(({ payload }) => payload.toString()) };
}

const identityOf = (device = 'dev-1') => broker.fixture.pki.operational('acme', device);
const subscribe = (socket: TLSSocket, subscriptions: { topic: string; qos: 0 | 1 | 2 }[]) =>
  socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions }));
const send = (text: string, stored = false, level = 'command') =>
  broker.fixture.deps.bus.send(`signet.mqtt.acme.dev-1.down.${level}`, Buffer.from(text), { stored });
const disconnected = (count: number) =>
  until(() => expect(broker.events.filter(({ type }) => type === 'DEVICE_DISCONNECTED')).toHaveLength(count));
const blamed = () => broker.events.filter(({ type }) => type === 'DEVICE_REFUSED');

describe.each(stores)('what leaves for a device, sessions in %s', (_, isThere, env) => {
  const open = async (more: Record<string, string> = {}) => {
    broker = await openBrokerFixture({ env: { ...env, ...more } });
    // Redis is shared by these tests
    await (await broker.connected(identityOf(), { clean: true })).endAsync();
    await disconnected(1);
  };

  it.skipIf(!isThere)(
    'a command for which two filters of a device match comes once, plain or stored',
    async () => {
      await open();
      const client = await broker.connected(identityOf(), { clean: false });
      const heard = messagesOf(client);
      await client.subscribeAsync([`${DOWN}/#`, `${DOWN}/command`], { qos: 1 });
      for (let n = 0; n < 20; n++) await send(`${n}`, n % 2 === 0);
      const all = Array.from({ length: 20 }, (_, n) => `${n}`);
      await until(() => expect(heard.map(([, text]) => text).toSorted()).toEqual(all.toSorted()));
      await client.endAsync();
      const again = await broker.connected(identityOf(), { clean: false });
      const later = messagesOf(again);
      await send('last', true);
      await until(() => expect(later.map(([, text]) => text)).toEqual(['last']));
      expect(blamed()).toEqual([]);
    },
  );

  it.skipIf(!isThere)(
    'it comes with the highest QoS that the device was granted, whichever filter that is of',
    async () => {
      await open();
      const device = await rawDevice();
      subscribe(device.socket, [
        { topic: `${DOWN}/#`, qos: 0 },
        { topic: `${DOWN}/command`, qos: 1 },
        { topic: `${DOWN}/+`, qos: 0 },
      ]);
      await until(() => expect(device.packets[1]?.cmd).toBe('suback'));
      await send('plain');
      await until(() => expect(device.published()).toHaveLength(1));
      await send('stored', true);
      await until(() => expect(device.published()).toHaveLength(2));
      await send('by # alone', true, 'other');
      await until(() => expect(device.published()).toHaveLength(3));
      expect(device.published().map(({ qos }) => qos)).toEqual([1, 1, 0]);
      for (const { messageId } of device.published().slice(0, 2))
        device.socket.write(generate({ cmd: 'puback', messageId: messageId ?? 0 }));
      device.socket.write(generate({ cmd: 'pingreq' }));
      await until(() => expect(device.packets.at(-1)?.cmd).toBe('pingresp'));
      device.socket.destroy();
      await disconnected(2);
      const again = await rawDevice();
      again.socket.write(generate({ cmd: 'pingreq' }));
      await until(() => expect(again.packets.at(-1)?.cmd).toBe('pingresp'));
      expect(again.texts()).toEqual([]);
    },
  );

  it.skipIf(!isThere)(
    'what a device has not acknowledged comes again with DUP, under its identifier, before what is new',
    async () => {
      await open();
      const first = await rawDevice();
      subscribe(first.socket, [{ topic: `${DOWN}/#`, qos: 1 }]);
      await until(() => expect(first.packets[1]?.cmd).toBe('suback'));
      await send('1');
      await until(() => expect(first.texts()).toEqual(['1']));
      await send('2', true);
      await until(() => expect(first.texts()).toEqual(['1', '2']));
      await send('3');
      await until(() => expect(first.texts()).toEqual(['1', '2', '3']));
      expect(first.published().map(({ dup }) => dup)).toEqual([false, false, false]);
      const ids = first.published().map(({ messageId }) => messageId);
      first.socket.destroy();
      await disconnected(2);
      await send('4');
      await send('5', true);
      const second = await rawDevice();
      await until(() => expect(second.published()).toHaveLength(5));
      expect(second.texts().slice(0, 3)).toEqual(['1', '2', '3']);
      expect(second.texts().toSorted()).toEqual(['1', '2', '3', '4', '5']);
      expect(second.published().map(({ dup }) => dup)).toEqual([true, true, true, false, false]);
      expect(
        second
          .published()
          .slice(0, 3)
          .map(({ messageId }) => messageId),
      ).toEqual(ids);
    },
  );

  it.skipIf(!isThere)(
    'is there after the broker was stopped and started: subscriptions, messages and open QoS 2 messages',
    async () => {
      await open();
      const device = await rawDevice();
      subscribe(device.socket, [{ topic: `${DOWN}/#`, qos: 1 }]);
      await until(() => expect(device.packets[1]?.cmd).toBe('suback'));
      const up: string[] = [];
      await broker.fixture.deps.bus.listen('signet.mqtt.acme.dev-1.up.x', ({ payload }) => {
        up.push(Buffer.from(payload).toString());
      });
      const publish = generate({
        ...{ cmd: 'publish', topic: 'd/acme/dev-1/up/x', payload: 'once', qos: 2, retain: false },
        ...{ messageId: 7, dup: false },
      });
      device.socket.write(publish);
      await until(() => expect(device.packets.at(-1)?.cmd).toBe('pubrec'));
      await send('plain, not acknowledged');
      await until(() => expect(device.published()).toHaveLength(1));
      await send('stored, not acknowledged', true);
      await until(() => expect(device.published()).toHaveLength(2));
      await broker.restart();
      await send('stored, while it is offline', true);
      const again = await rawDevice();
      expect(again.packets[0]).toMatchObject({ sessionPresent: true });
      await until(() => expect(again.published()).toHaveLength(3));
      expect(again.texts()).toEqual([
        ...['plain, not acknowledged', 'stored, not acknowledged', 'stored, while it is offline'],
      ]);
      again.socket.write(publish);
      await until(() => expect(again.packets.at(-1)?.cmd).toBe('pubrec'));
      again.socket.write(generate({ cmd: 'pubrel', messageId: 7 }));
      await until(() => expect(again.packets.at(-1)?.cmd).toBe('pubcomp'));
      expect(up).toEqual(['once']);
    },
  );

  it.skipIf(!isThere)(
    'a persistent session without subscriptions is said to be present, a clean one is not',
    async () => {
      await open();
      const present: (boolean | undefined)[] = [];
      for (const clean of [false, false, true, false]) {
        const { packets, socket } = await rawDevice(identityOf(), { clean });
        present.push((packets[0] as { sessionPresent?: boolean }).sessionPresent);
        socket.destroy();
        await disconnected(present.length + 1);
      }
      expect(present).toEqual([false, true, false, false]);
    },
  );

  it.skipIf(!isThere)(
    'a message that comes while a device connects comes after CONNACK, once, and cuts nobody',
    async () => {
      await open({ SIGNET_MQTT_CONNECTS_PER_MINUTE: '10000' });
      const first = await broker.connected(identityOf(), { clean: false });
      await first.subscribeAsync([`${DOWN}/#`, `${DOWN}/command`], { qos: 1 });
      await first.endAsync();
      await disconnected(2);
      const expected: string[] = [];
      const heard: string[] = [];
      for (let n = 0; n < 30; n++) {
        const sending = (async () => {
          for (let i = 0; i < 6; i++) {
            const text = `${n}-${i}`;
            expected.push(text);
            await send(text, i % 2 === 0);
          }
        })();
        const device = await rawDevice();
        expect(device.packets[0]?.cmd).toBe('connack');
        await sending;
        await until(() => expect(device.published()).toHaveLength(6));
        for (const { messageId, dup } of device.published()) {
          expect(dup).toBe(false);
          device.socket.write(generate({ cmd: 'puback', messageId: messageId ?? 0 }));
        }
        heard.push(...device.texts());
        device.socket.write(generate({ cmd: 'pingreq' }));
        await until(() => expect(device.packets.at(-1)?.cmd).toBe('pingresp'));
        device.socket.end(generate({ cmd: 'disconnect' }));
        await disconnected(n + 3);
      }
      expect(heard.toSorted()).toEqual(expected.toSorted());
      for (const kind of [0, 1]) {
        const of = (texts: string[]) => texts.filter((text) => Number(text.split('-')[1]) % 2 === kind);
        expect(of(heard)).toEqual(of(expected));
      }
      expect(blamed()).toEqual([]);
    },
  );
});

describe('what a device can make the broker remember', () => {
  it('open QoS 2 messages are bounded over all connections of a session', async () => {
    broker = await openBrokerFixture({ env: { SIGNET_MQTT_MAX_UNRELEASED: '5' } });
    const publish = (messageId: number) =>
      generate({
        ...{ cmd: 'publish', topic: 'd/acme/dev-1/up/x', payload: 'x', qos: 2, retain: false },
        ...{ messageId, dup: false },
      });
    const first = await rawDevice();
    for (const id of [1, 2, 3]) first.socket.write(publish(id));
    await until(() => expect(first.packets.filter(({ cmd }) => cmd === 'pubrec')).toHaveLength(3));
    first.socket.destroy();
    await disconnected(1);
    const second = await rawDevice();
    for (const id of [4, 5, 1]) second.socket.write(publish(id));
    await until(() => expect(second.packets.filter(({ cmd }) => cmd === 'pubrec')).toHaveLength(3));
    const closed = new Promise((resolve) => second.socket.once('close', resolve));
    second.socket.write(publish(6));
    await closed;
    const { data } = await broker.event('DEVICE_REFUSED', (event) => event.data.code === 'limit-reached');
    expect(data.message).toBe('publish: 5 messages of QoS 2 are not released, and no more may be');
    const third = await rawDevice();
    third.socket.write(generate({ cmd: 'pubrel', messageId: 1 }));
    await until(() => expect(third.packets.at(-1)?.cmd).toBe('pubcomp'));
    third.socket.write(publish(6));
    await until(() => expect(third.packets.map(({ cmd }) => cmd)).toEqual(['connack', 'pubcomp', 'pubrec']));
  });

  it('messages that it does not acknowledge are bounded in number and bytes while it is connected', async () => {
    broker = await openBrokerFixture({
      env: { SIGNET_MQTT_MAX_QUEUED: '3', SIGNET_MQTT_MAX_QUEUED_BYTES: '2048' },
    });
    const device = await rawDevice();
    subscribe(device.socket, [{ topic: `${DOWN}/#`, qos: 1 }]);
    await until(() => expect(device.packets[1]?.cmd).toBe('suback'));
    await send('a'.repeat(1500));
    await send('b'.repeat(1500));
    for (const text of ['c', 'd', 'e']) await send(text, true);
    const dropped = /signet_mqtt_messages_total\{[^}]*direction="dropped"[^}]*\} 2$/m;
    await until(async () => expect(await broker.fixture.exposition()).toMatch(dropped));
    await until(() => expect(device.texts().map((text) => text[0])).toEqual(['a', 'c', 'd']));
  });
});

describe('an error of the platform', () => {
  it('has its own code, and is blamed on no device', async () => {
    broker = await openBrokerFixture({
      wrapBus: (bus) => ({
        ...bus,
        send: (subject, ...rest) => {
          if (subject.endsWith('.up.provoke')) throw new TypeError('provoked');
          return bus.send(subject, ...rest);
        },
      }),
    });
    const client = await broker.connected(identityOf());
    const closed = closeOf(client);
    client.publish('d/acme/dev-1/up/provoke', 'x', { qos: 2 });
    await closed;
    const { data } = await broker.event('DEVICE_REFUSED');
    expect(data).toMatchObject({ deviceId: 'dev-1', code: 'internal-error' });
    expect(data.message).not.toContain('provoked');
    expect((await broker.event('DEVICE_DISCONNECTED')).data.reason).toBe('internal');
  });
});
