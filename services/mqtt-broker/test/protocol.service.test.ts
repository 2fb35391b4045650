import { readFile } from 'node:fs/promises';
import type { TLSSocket } from 'node:tls';
import type { Bus } from '@signet/bus';
import type { TestIdentity } from '@signet/pki/testing';
import { generate } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BrokerFixture, closeOf, openBrokerFixture, until } from './fixture.ts';
import { answerOn, connectPacket, openRaw } from './raw-client.ts';

let broker: BrokerFixture;
/** While it is undefined, the bus stores at once. */
let storing: Promise<void> | undefined;
const wrapBus = (bus: Bus): Bus => ({
  ...bus,
  async send(subject, payload, options) {
    if (options?.stored === true) await storing;
    await bus.send(subject, payload, options);
  },
});
beforeAll(async () => {
  broker = await openBrokerFixture({
    wrapBus,
    env: {
      SIGNET_MQTT_MAX_UNRELEASED: '10',
      SIGNET_MQTT_MAX_WILL_BYTES: '1000',
      SIGNET_MQTT_CONNECTS_PER_MINUTE: '1000',
    },
  });
});
afterAll(() => broker[Symbol.asyncDispose]());

let devices = 0;
/** One that no other test has to do with. */
function newDevice(): { id: string; identity: TestIdentity; topic: string } {
  const id = `dev-${++devices}`;
  return { id, identity: broker.fixture.pki.operational('acme', id), topic: `d/acme/${id}/up/x` };
}

/** How a connection ended: what came, and whether TLS was closed by the book (close_notify) or cut. */
async function endOn(socket: TLSSocket) {
  const errors: Error[] = [];
  let isEnded = false;
  socket.on('error', (error) => errors.push(error));
  socket.once('end', () => {
    isEnded = true;
  });
  const answer = await answerOn(socket);
  return { answer: answer.toString('hex'), isEnded, errors };
}

/** What an operator sees of this device. */
const refusalOf = async (deviceId: string) =>
  (await broker.event('DEVICE_REFUSED', ({ data }) => data.deviceId === deviceId)).data;

const publish = (topic: string, qos: 0 | 1 | 2, messageId: number, more: object = {}) =>
  generate({ cmd: 'publish', topic, payload: 'x', qos, messageId, dup: false, retain: false, ...more });
const connack = '20020000';

describe('what MQTT 3.1.1 forbids', () => {
  it.each([
    ['a packet id of 0', '32050001610000', 'MQTT-2.3.1-1'],
    ['UNSUBSCRIBE without a filter', 'a2020001', 'MQTT-3.10.3-2'],
    ['SUBSCRIBE without a filter', '82020001', 'MQTT-3.8.3-3'],
    ['PINGREQ with a body', 'c00100', 'MQTT-4.8.0-1'],
    ['DISCONNECT with a body', 'e00100', 'MQTT-4.8.0-1'],
    ['a packet that only a server sends', '20020000', 'MQTT-4.8.0-1'],
    ['a topic filter that is not UTF-8', '82080001000361eda000', 'MQTT-1.5.3-1'],
    ['a topic with U+0000', '30050003610062', 'MQTT-1.5.3-2'],
    ['QoS 3', '36050001610001', 'MQTT-3.3.1-4'],
    ['DUP with QoS 0', '3803000161', 'MQTT-3.3.1-2'],
    ['a PUBREL whose flags are wrong', '60020001', 'MQTT-2.2.2-2'],
    ['a second CONNECT', connectPacket('x').toString('hex'), 'MQTT-3.1.0-2'],
  ])(
    '%s ends the session with close_notify, and is told to the operator',
    async (_what, bytes, statement) => {
      const { id, identity, topic } = newDevice();
      const socket = await openRaw(broker, identity);
      const ended = endOn(socket);
      // it goes on sending: what a server has not read when it closes would make a reset of it
      const more = Buffer.concat(
        Array.from({ length: 200 }, () => publish(topic, 0, 0, { payload: Buffer.alloc(1000) })),
      );
      socket.write(Buffer.concat([connectPacket(id), Buffer.from(bytes, 'hex'), more]));
      expect(await ended).toEqual({ answer: connack, isEnded: true, errors: [] });
      const { code, message } = await refusalOf(id);
      expect(code).toBe('malformed-request');
      expect(message).toContain(statement);
      const left = await broker.event('DEVICE_DISCONNECTED', ({ data }) => data.deviceId === id);
      expect(left.data.reason).toBe('protocol');
    },
  );

  it.each([
    ['will QoS 3', { will: { topic: 'w', payload: 'x' } }, 0x1e, 'MQTT-3.1.2-14'],
    ['a password without user name', { username: 'u', password: 'p' }, 0x42, 'MQTT-3.1.2-22'],
    ['its reserved flag set', {}, 0x03, 'MQTT-3.1.2-3'],
    ['a will QoS without a will', {}, 0x0a, 'MQTT-3.1.2-13'],
  ])(
    'MQTT-3.1.4-1: a CONNECT with %s is answered with nothing but the end',
    async (_what, more, flags, statement) => {
      const { id, identity } = newDevice();
      const packet = connectPacket(id, more);
      // fixed header 2, protocol name 6, level 1
      packet[9] = flags;
      const socket = await openRaw(broker, identity);
      const ended = endOn(socket);
      socket.write(packet);
      expect(await ended).toEqual({ answer: '', isEnded: true, errors: [] });
      expect((await refusalOf(id)).message).toContain(statement);
    },
  );

  it('bytes behind the payload of CONNECT, and user names that are not UTF-8, are refused like that too', async () => {
    for (const change of ['longer', 'not UTF-8'] as const) {
      const { id, identity } = newDevice();
      const packet = connectPacket(id, { username: '~~', password: 'p' });
      const malformed =
        change === 'longer' ? Buffer.concat([packet, Buffer.from('more')]) : Buffer.from(packet);
      if (change === 'longer') malformed[1] = (malformed[1] ?? 0) + 4;
      else malformed.write('\xed\xa0', malformed.indexOf('~~'), 'latin1');
      const socket = await openRaw(broker, identity);
      const ended = endOn(socket);
      socket.write(malformed);
      expect((await ended).answer).toBe('');
      expect((await refusalOf(id)).code).toBe('malformed-request');
    }
  });

  it('the provisioning listener is no less strict', async () => {
    const identity = broker.fixture.pki.bootstrap('serial-0001');
    for (const [n, packet] of [
      connectPacket('serial-0001', {
        username: 'u',
        password: 'p',
        will: { topic: 'w', payload: 'x', qos: 1 },
      }),
      generate({ cmd: 'pingreq' }),
    ].entries()) {
      if (n === 0) packet[9] = 0xde;
      const socket = await openRaw(broker, identity, broker.provisioningPort);
      const ended = endOn(socket);
      socket.write(packet);
      expect(await ended).toEqual({ answer: '', isEnded: true, errors: [] });
    }
    const { data } = await broker.event('BOOTSTRAP_REFUSED', (event) =>
      event.data.message.includes('MQTT-3.1.2-14'),
    );
    expect(data.code).toBe('malformed-request');
  });

  it('MQTT-3.1.0-1: what begins with anything but CONNECT is closed without an answer', async () => {
    const { id, identity, topic } = newDevice();
    const socket = await openRaw(broker, identity);
    const ended = endOn(socket);
    socket.write(publish(topic, 0, 0));
    expect(await ended).toEqual({ answer: '', isEnded: true, errors: [] });
    expect((await refusalOf(id)).message).toContain('MQTT-3.1.0-1');
  });

  it('MQTT-3.14.4-1: nothing behind a goodbye is handled, and the session is over at once', async () => {
    const { id, identity, topic } = newDevice();
    const heard: string[] = [];
    const listening = await broker.fixture.deps.bus.listen(`signet.mqtt.acme.${id}.up.>`, ({ subject }) => {
      heard.push(subject);
    });
    const socket = await openRaw(broker, identity);
    socket.write(connectPacket(id));
    await broker.event('DEVICE_CONNECTED', ({ data }) => data.deviceId === id);
    const ended = endOn(socket);
    const after = [publish(`${topic}/after`, 0, 0), publish(`${topic}/after`, 1, 2)];
    socket.write(Buffer.concat([publish(topic, 1, 1), generate({ cmd: 'disconnect' }), ...after]));
    expect((await ended).isEnded).toBe(true);
    const left = await broker.event('DEVICE_DISCONNECTED', ({ data }) => data.deviceId === id);
    expect(left.data.reason).toBe('client');
    expect(heard).toEqual([`signet.mqtt.acme.${id}.up.x`]);
    await listening[Symbol.asyncDispose]();
  });
});

describe('MQTT-2.3.1-2: a packet id that is in use', () => {
  it('QoS 2: a second PUBLISH under it ends the session; one with DUP gets PUBREC again, and is not heard twice', async () => {
    const { id, identity, topic } = newDevice();
    const heard: string[] = [];
    const listening = await broker.fixture.deps.bus.listen(`signet.mqtt.acme.${id}.up.>`, ({ payload }) => {
      heard.push(Buffer.from(payload).toString());
    });
    const socket = await openRaw(broker, identity);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    const ended = endOn(socket);
    const came = () => Buffer.concat(chunks).toString('hex');
    socket.write(Buffer.concat([connectPacket(id), publish(topic, 2, 7, { payload: 'first' })]));
    await until(() => expect(came()).toBe(`${connack}50020007`));
    socket.write(publish(topic, 2, 7, { payload: 'first', dup: true }));
    await until(() => expect(came()).toBe(`${connack}5002000750020007`));
    socket.write(generate({ cmd: 'pubrel', messageId: 7 }));
    await until(() => expect(came()).toBe(`${connack}500200075002000770020007`));
    socket.write(publish(topic, 2, 7, { payload: 'second' }));
    await until(() => expect(heard).toEqual(['first', 'second']));
    socket.write(publish(topic, 2, 7, { payload: 'third' }));
    expect((await ended).isEnded).toBe(true);
    expect((await refusalOf(id)).message).toContain('packet id 7 is in use');
    expect(heard).toEqual(['first', 'second']);
    await listening[Symbol.asyncDispose]();
  });

  it('QoS 1: ends the session too, while the first is not acknowledged', async () => {
    const { id, identity, topic } = newDevice();
    const { promise, resolve } = Promise.withResolvers<void>();
    storing = promise;
    try {
      const socket = await openRaw(broker, identity);
      const ended = endOn(socket);
      socket.write(
        Buffer.concat([connectPacket(id), publish(topic, 1, 7), publish(topic, 1, 7, { dup: true })]),
      );
      socket.write(publish(topic, 1, 7));
      expect(await ended).toEqual({ answer: connack, isEnded: true, errors: [] });
      expect((await refusalOf(id)).message).toContain('packet id 7 is in use');
    } finally {
      storing = undefined;
      resolve();
    }
    const client = await broker.connected(identity);
    for (let n = 0; n < 3; n++) await client.publishAsync(topic, 'again', { qos: 1 });
    await client.endAsync();
  });
});

describe('CONNACK and the end of a session say what is so', () => {
  it.each([
    ['version 5, in its own format', 5, '2003008400'],
    ['a version to come', 6, '20020001'],
    ['a bridge of mosquitto (0x84)', 0x84, '20020001'],
  ])('%s is told that it is not spoken', async (_what, level, answer) => {
    for (const port of [broker.port, broker.provisioningPort]) {
      const { id, identity } = newDevice();
      const packet = connectPacket(id);
      packet[8] = level;
      const isProvisioning = port === broker.provisioningPort;
      const shown = isProvisioning ? broker.fixture.pki.bootstrap(`serial-${level}`) : identity;
      const socket = await openRaw(broker, shown, port);
      const ended = endOn(socket);
      socket.write(packet);
      expect(await ended).toEqual({ answer, isEnded: true, errors: [] });
      if (!isProvisioning) expect((await refusalOf(id)).message).toContain(`level ${level} is not spoken`);
    }
  });

  it('a client of MQTT 5 reports that its version is not supported', async () => {
    const { identity } = newDevice();
    const client = broker.client(identity, { protocolVersion: 5 });
    const [error] = await new Promise<[Error & { code?: number }]>((resolve) =>
      client.once('error', (reason) => resolve([reason as Error & { code?: number }])),
    );
    expect(error.code).toBe(0x84);
    expect(error.message).toContain('Unsupported Protocol Version');
  });

  it('any keep-alive is accepted; where it is 0 or very long, TCP finds out whether the device is there', async () => {
    const timers = new Map<number, string | undefined>();
    for (const keepalive of [0, 1, 60, 1200, 1201, 65_535]) {
      const { id, identity } = newDevice();
      const socket = await openRaw(broker, identity);
      socket.write(connectPacket(id, { keepalive }));
      await broker.event('DEVICE_CONNECTED', ({ data }) => data.deviceId === id);
      timers.set(keepalive, await tcpTimerOf(broker.port, socket.localPort ?? 0));
      socket.destroy();
    }
    expect(Object.fromEntries(timers)).toEqual({
      0: 'keep-alive',
      1: 'none',
      60: 'none',
      1200: 'none',
      1201: 'keep-alive',
      65535: 'keep-alive',
    });
  });

  it('a device that asked for no keep-alive may be silent; one that asked for a second is missed after one and a half', async () => {
    const [silent, asked] = [newDevice(), newDevice()];
    const sockets = await Promise.all([silent, asked].map(({ identity }) => openRaw(broker, identity)));
    sockets[0]?.write(connectPacket(silent.id, { keepalive: 0 }));
    sockets[1]?.write(connectPacket(asked.id, { keepalive: 1 }));
    const begun = performance.now();
    await broker.event('DEVICE_CONNECTED', ({ data }) => data.deviceId === silent.id);
    const left = await broker.event('DEVICE_DISCONNECTED', ({ data }) => data.deviceId === asked.id);
    expect(left.data.reason).toBe('keepalive');
    expect(performance.now() - begun).toBeGreaterThan(1400);
    let answer = '';
    sockets[0]?.on('data', (chunk: Buffer) => {
      answer += chunk.toString('hex');
    });
    sockets[0]?.write(generate({ cmd: 'pingreq' }));
    await until(() => expect(answer).toBe(`${connack}d000`));
    expect(
      broker.events.some(
        ({ data }) => (data as { deviceId?: string }).deviceId === silent.id && 'reason' in data,
      ),
    ).toBe(false);
    for (const socket of sockets) socket.destroy();
  });

  it('a refused topic and a takeover end with close_notify, also for a device that goes on sending', async () => {
    const refused = newDevice();
    const socket = await openRaw(broker, refused.identity);
    const ended = endOn(socket);
    const other = publish('d/acme/another/up/x', 0, 0, { payload: Buffer.alloc(10_000) });
    socket.write(Buffer.concat([connectPacket(refused.id), ...Array.from({ length: 50 }, () => other)]));
    expect(await ended).toEqual({ answer: connack, isEnded: true, errors: [] });
    expect((await refusalOf(refused.id)).code).toBe('topic-not-allowed');

    const taken = newDevice();
    const first = await openRaw(broker, taken.identity);
    const firstEnded = endOn(first);
    first.write(connectPacket(taken.id));
    await broker.event('DEVICE_CONNECTED', ({ data }) => data.deviceId === taken.id);
    const second = await broker.connected(taken.identity);
    expect(await firstEnded).toEqual({ answer: connack, isEnded: true, errors: [] });
    await second.publishAsync(taken.topic, 'here', { qos: 1 });
    await second.endAsync();
  });

  it('a device that is denied is cut at once, whatever it does', async () => {
    const { id, identity } = newDevice();
    const client = await broker.connected(identity);
    const closed = closeOf(client);
    await broker.fixture.deny({ kind: 'device', account: 'acme', deviceId: id });
    await closed;
    const left = await broker.event('DEVICE_DISCONNECTED', ({ data }) => data.deviceId === id);
    expect(left.data.reason).toBe('denied');
    client.end(true);
  });
});

describe('what one connection may have the broker hold', () => {
  it('QoS 2 messages without PUBREL, up to a bound; releasing one makes room', async () => {
    const { id, identity, topic } = newDevice();
    const socket = await openRaw(broker, identity);
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    const ended = endOn(socket);
    const ten = Array.from({ length: 10 }, (_, n) => publish(topic, 2, n + 1));
    socket.write(Buffer.concat([connectPacket(id), ...ten]));
    await until(() => expect(bytes).toBe(4 + 10 * 4));
    socket.write(Buffer.concat([generate({ cmd: 'pubrel', messageId: 3 }), publish(topic, 2, 11)]));
    await until(() => expect(bytes).toBe(4 + 12 * 4));
    socket.write(publish(topic, 2, 12));
    expect((await ended).isEnded).toBe(true);
    expect(await refusalOf(id)).toMatchObject({
      code: 'limit-reached',
      message: 'publish: more than 10 QoS 2 messages without PUBREL',
    });
  });

  it('a will up to a bound: a larger one is refused at CONNECT', async () => {
    const { id, identity, topic } = newDevice();
    const will = (length: number) => ({
      topic,
      payload: Buffer.alloc(length),
      qos: 1 as const,
      retain: false,
    });
    expect(await broker.refusal(identity, { will: will(1001) })).toBe(5);
    expect(await refusalOf(id)).toMatchObject({
      code: 'packet-too-large',
      message: 'will: 1001 bytes, at most 1000 are kept',
    });
    const client = await broker.connected(identity, { will: will(1000) });
    await client.endAsync();
  });
});

/** What Linux waits for on the connection from this port: its timer in /proc/net/tcp. */
async function tcpTimerOf(from: number, to: number): Promise<string | undefined> {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
  const line = lines.find(
    ([, local, remote]) => local?.endsWith(`:${hex(from)}`) && remote?.endsWith(`:${hex(to)}`),
  );
  return line?.[5] === undefined ? undefined : { '00': 'none', '02': 'keep-alive' }[line[5].slice(0, 2)];
}
