import type { TLSSocket } from 'node:tls';
import { type Bus, BusError } from '@signet/bus';
import { generate, parser as mqttParser, type Packet } from 'mqtt-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, openBrokerFixture, until } from './fixture.ts';
import { answerOn, connectPacket, openRaw } from './raw-client.ts';

let broker: BrokerFixture;
afterEach(() => broker[Symbol.asyncDispose]());
const identity = () => broker.fixture.pki.operational('acme', 'dev-1');

function publish(text: string | Buffer, qos: 0 | 1 | 2 = 1, messageId = 1, more: object = {}): Buffer {
  const common = {
    cmd: 'publish',
    topic: 'd/acme/dev-1/up/x',
    payload: text,
    dup: false,
    retain: false,
  } as const;
  return generate({ ...common, qos, ...(qos === 0 ? {} : { messageId }), ...more });
}

/** What the bus hears of devices, in order. */
async function heardOn(bus: Bus): Promise<string[]> {
  const heard: string[] = [];
  await bus.listen('signet.mqtt.*.*.up.>', ({ payload }) => {
    heard.push(Buffer.from(payload).toString());
  });
  return heard;
}

/** What the broker answers: names of packets, with their message ids. */
function answersOn(socket: TLSSocket): string[] {
  const answers: string[] = [];
  const parser = mqttParser();
  parser.on('packet', ({ cmd, messageId }: Packet) =>
    answers.push(messageId === undefined ? cmd : `${cmd} ${messageId}`),
  );
  socket.on('data', (chunk) => parser.parse(chunk));
  return answers;
}

/** The bus, whose storing of messages waits until the test lets it go on. */
function slowBus() {
  const waiting: { text: string; stored(): void; fail(): void }[] = [];
  const wrap = (bus: Bus): Bus => ({
    ...bus,
    async send(subject, payload, options) {
      if (options?.stored !== true) return await bus.send(subject, payload, options);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const fail = () => reject(new BusError('unavailable', 'the bus is unavailable'));
      waiting.push({ text: Buffer.from(payload).toString(), stored: resolve, fail });
      await promise;
      await bus.send(subject, payload, options);
    },
  });
  return { waiting, wrap };
}

describe('what a device sends', () => {
  it('is handled alike whether it comes in one piece, before CONNECT is answered, or byte by byte', async () => {
    broker = await openBrokerFixture();
    const heard = await heardOn(broker.fixture.deps.bus);
    const stream = Buffer.concat([
      connectPacket('dev-1'),
      publish('1'),
      publish('2', 0),
      generate({ cmd: 'subscribe', messageId: 9, subscriptions: [{ topic: 'd/acme/dev-1/down/#', qos: 1 }] }),
      publish('3', 1, 2),
      generate({ cmd: 'pingreq' }),
      publish('4', 1, 3),
    ]);
    const expected = ['connack', 'pingresp', 'puback 1', 'puback 2', 'puback 3', 'suback 9'];
    for (const size of [stream.length, 7, 1]) {
      heard.length = 0;
      const socket = await openRaw(broker, identity());
      const answers = answersOn(socket);
      for (let at = 0; at < stream.length; at += size) {
        socket.write(stream.subarray(at, at + size));
        if (size < stream.length) await new Promise(setImmediate);
      }
      await until(() => expect(answers.toSorted()).toEqual(expected));
      await until(() => expect(heard.toSorted()).toEqual(['1', '2', '3', '4']));
      expect(heard.filter((text) => text !== '2')).toEqual(['1', '3', '4']);
      expect(answers.filter((answer) => answer.startsWith('puback'))).toEqual([
        'puback 1',
        'puback 2',
        'puback 3',
      ]);
      socket.destroy();
    }
  });

  it('goes to the bus in its order, and is acknowledged in it: a thousand at once', async () => {
    broker = await openBrokerFixture();
    const heard = await heardOn(broker.fixture.deps.bus);
    const socket = await openRaw(broker, identity());
    const answers = answersOn(socket);
    const numbers = Array.from({ length: 1000 }, (_, n) => n + 1);
    socket.write(connectPacket('dev-1'));
    socket.write(Buffer.concat(numbers.map((n) => publish(`${n}`, 1, n))));
    await until(() => expect(answers).toHaveLength(1001));
    expect(answers.slice(1)).toEqual(numbers.map((n) => `puback ${n}`));
    expect(heard).toEqual(numbers.map(String));
    await until(async () =>
      expect(await broker.fixture.exposition()).toMatch(/messages_total\{[^}]*direction="up"[^}]*\} 1000$/m),
    );
    socket.destroy();
  });

  it('a QoS 1 message that is sent again is stored and acknowledged again', async () => {
    broker = await openBrokerFixture();
    const heard = await heardOn(broker.fixture.deps.bus);
    const socket = await openRaw(broker, identity());
    const answers = answersOn(socket);
    socket.write(
      Buffer.concat([connectPacket('dev-1'), publish('again'), publish('again', 1, 1, { dup: true })]),
    );
    await until(() => expect(answers).toEqual(['connack', 'puback 1', 'puback 1']));
    expect(heard).toEqual(['again', 'again']);
    socket.destroy();
  });

  it('what came before a goodbye in the same piece is on the bus', async () => {
    broker = await openBrokerFixture();
    const heard = await heardOn(broker.fixture.deps.bus);
    const socket = await openRaw(broker, identity());
    const closed = answerOn(socket);
    socket.write(connectPacket('dev-1'));
    await broker.event('DEVICE_CONNECTED');
    socket.write(Buffer.concat([publish('last', 0), publish('very last'), generate({ cmd: 'disconnect' })]));
    await closed;
    await until(() => expect(heard).toEqual(['last', 'very last']));
    expect((await broker.event('DEVICE_DISCONNECTED')).data.reason).toBe('client');
  });

  it.each([
    ['a length of five bytes', Buffer.from('30ffffffff01', 'hex'), 'malformed-request'],
    ['a packet that says it is too long', Buffer.from('30ffff7f', 'hex'), 'packet-too-large'],
    ['a topic that is longer than its packet', Buffer.from('30030009aa', 'hex'), 'malformed-request'],
    ['QoS 3', Buffer.from('360800046162636400017a', 'hex').subarray(0, 10), 'malformed-request'],
    ['a second CONNECT', connectPacket('dev-1'), 'malformed-request'],
  ])(
    '%s ends the session with that reason; what was whole before it is served',
    async (_what, bytes, code) => {
      broker = await openBrokerFixture();
      const heard = await heardOn(broker.fixture.deps.bus);
      const socket = await openRaw(broker, identity());
      const closed = answerOn(socket);
      socket.write(Buffer.concat([connectPacket('dev-1'), publish('whole'), bytes]));
      await closed;
      await until(() => expect(heard).toEqual(['whole']));
      expect((await broker.event('DEVICE_REFUSED')).data.code).toBe(code);
      expect((await broker.event('DEVICE_DISCONNECTED')).data.reason).toBe('protocol');
    },
  );
});

describe('a bus that does not answer', () => {
  it('a device is not read beyond what may wait for it; all of it comes when the bus is back', async () => {
    const { waiting, wrap } = slowBus();
    broker = await openBrokerFixture({ wrapBus: wrap });
    const socket = await openRaw(broker, identity());
    const answers = answersOn(socket);
    socket.write(connectPacket('dev-1'));
    const payload = Buffer.alloc(8192, 'x');
    const count = 400;
    for (let n = 1; n <= count; n++) socket.write(publish(payload, 1, n));
    await until(() => expect(waiting.length).toBeGreaterThan(8));
    const other = await broker.connected(broker.fixture.pki.operational('acme', 'dev-2'));
    await other.subscribeAsync('d/acme/dev-2/down/#');
    // some 64 KiB are with the bus; the rest is in the network
    expect(waiting.length).toBeLessThan(20);
    expect(answers).toEqual(['connack']);
    let released = 0;
    while (released < count) {
      await until(() => expect(waiting.length).toBeGreaterThan(released));
      for (; released < waiting.length; released++) waiting[released]?.stored();
    }
    await until(() => expect(answers).toHaveLength(count + 1));
    socket.destroy();
  });

  it('what is not stored is not acknowledged, nor anything after it', async () => {
    const { waiting, wrap } = slowBus();
    broker = await openBrokerFixture({ wrapBus: wrap });
    const socket = await openRaw(broker, identity());
    const answers = answersOn(socket);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(Buffer.concat([connectPacket('dev-1'), ...[1, 2, 3].map((n) => publish(`${n}`, 1, n))]));
    await until(() => expect(waiting).toHaveLength(3));
    waiting[0]?.stored();
    await until(() => expect(answers).toEqual(['connack', 'puback 1']));
    waiting[2]?.stored();
    waiting[1]?.fail();
    await closed;
    expect(answers).toEqual(['connack', 'puback 1']);
    expect((await broker.event('DEVICE_DISCONNECTED')).data.reason).toBe('network');
    expect(broker.events.some(({ type }) => type === 'DEVICE_REFUSED')).toBe(false);
  });

  it('a device that leaves meanwhile disturbs nobody', async () => {
    const { waiting, wrap } = slowBus();
    broker = await openBrokerFixture({ wrapBus: wrap });
    const heard = await heardOn(broker.fixture.deps.bus);
    const socket = await openRaw(broker, identity());
    socket.write(Buffer.concat([connectPacket('dev-1'), publish('1')]));
    await until(() => expect(waiting).toHaveLength(1));
    socket.destroy();
    await broker.event('DEVICE_DISCONNECTED');
    waiting[0]?.stored();
    await until(() => expect(heard).toEqual(['1']));
  });
});
