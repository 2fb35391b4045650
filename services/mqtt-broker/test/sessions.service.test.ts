import type { TestIdentity } from '@signet/pki/testing';
import { generate } from 'mqtt-packet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, closeOf, messagesOf, openBrokerFixture, until } from './fixture.ts';
import { answerOn, connectPacket, openRaw } from './raw-client.ts';

let broker: BrokerFixture;
beforeEach(async () => {
  broker = await openBrokerFixture();
});
afterEach(() => broker[Symbol.asyncDispose]());

const identityOf = (deviceId: string) => broker.fixture.pki.operational('acme', deviceId);
const told = () =>
  broker.events
    .filter(({ type }) => type !== 'DEVICE_REFUSED')
    .map((event) => `${event.type} ${(event.data as { reason?: string }).reason ?? ''}`.trim());

const rawSocket = (identity: TestIdentity) => openRaw(broker, identity);

describe('a session', () => {
  it('F72: ends as soon as its device is denied, and its device does not come back', async () => {
    const client = await broker.connected(identityOf('dev-1'));
    const other = await broker.connected(identityOf('dev-2'));
    const closed = closeOf(client);
    await broker.fixture.deny({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
    await closed;
    const { data } = await broker.event('DEVICE_DISCONNECTED');
    expect(data).toMatchObject({ deviceId: 'dev-1', reason: 'denied' });
    expect(await broker.refusal(identityOf('dev-1'))).toBe(5);
    expect(other.connected).toBe(true);
    expect(await broker.fixture.exposition()).toMatch(/signet_revocation_to_kick_seconds_count\{[^}]*\} 1/);
  });

  it('F72: a denial between handshake and CONNECT leaves no session', async () => {
    const socket = await rawSocket(identityOf('dev-1'));
    await until(() => expect(broker.fixture.deps.admission.sessions.size).toBe(1));
    const answer = answerOn(socket);
    await broker.fixture.deny({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
    socket.write(connectPacket('dev-1'));
    expect(await answer).toHaveLength(0);
    await broker.connected(identityOf('dev-2'));
    await until(() => expect(told()).toEqual(['DEVICE_CONNECTED']));
    expect(await sessions()).toBe(1);
  });

  it('F72: a denial that comes with the CONNECT, before its CONNACK, leaves no session', async () => {
    for (let n = 0; n < 20; n++) {
      const socket = await rawSocket(identityOf(`dev-${n}`));
      const answer = answerOn(socket);
      socket.write(connectPacket(`dev-${n}`));
      await broker.fixture.deny({ kind: 'device', account: 'acme', deviceId: `dev-${n}` });
      await answer;
    }
    await broker.connected(identityOf('last'));
    await broker.event('DEVICE_CONNECTED', ({ data }) => data.deviceId === 'last');
    await until(() => {
      const names = told();
      const ended = names.filter((name) => name === 'DEVICE_DISCONNECTED denied').length;
      expect(names.filter((name) => name === 'DEVICE_CONNECTED')).toHaveLength(ended + 1);
    });
    expect(await sessions()).toBe(1);
  });

  it('is taken over by the same device: the old one ends first, then the new one begins', async () => {
    const first = await broker.connected(identityOf('dev-1'), { clean: false });
    await first.subscribeAsync(['d/acme/dev-1/down/a', 'd/acme/dev-1/down/b'], { qos: 1 });
    const closed = closeOf(first);
    const second = await broker.connected(identityOf('dev-1'), { clean: false });
    await closed;
    await until(() =>
      expect(told()).toEqual(['DEVICE_CONNECTED', 'DEVICE_DISCONNECTED takeover', 'DEVICE_CONNECTED']),
    );
    const messages = messagesOf(second);
    await broker.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.a', Buffer.from('once'));
    await until(() => expect(messages).toEqual([['d/acme/dev-1/down/a', 'once']]));
  });

  it('ends and begins in turn when ten connections of one device race', async () => {
    const clients = await Promise.all(
      Array.from({ length: 10 }, () =>
        broker.connected(identityOf('dev-1'), { clean: false }).catch(() => undefined),
      ),
    );
    const settled = () => clients.filter((client) => client?.connected).length;
    await until(() => expect(settled()).toBe(1));
    await until(() =>
      expect(told().filter((name) => name === 'DEVICE_CONNECTED').length).toBe((told().length + 1) / 2),
    );
    for (const [n, name] of told().entries())
      expect(name).toBe(n % 2 === 0 ? 'DEVICE_CONNECTED' : 'DEVICE_DISCONNECTED takeover');
    expect(await sessions()).toBe(1);
  });

  it('keeps its subscriptions and its messages while the device is unavailable, if it asked for that', async () => {
    const first = await broker.connected(identityOf('dev-1'), { clean: false });
    await first.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await first.endAsync();
    await broker.event('DEVICE_DISCONNECTED');
    await broker.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from('1'));
    await broker.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from('2'));
    const second = broker.client(identityOf('dev-1'), { clean: false });
    const messages = messagesOf(second);
    await until(() => expect(messages.map(([, text]) => text)).toEqual(['1', '2']));
  });

  it('what waits for a device that is offline is bounded', async () => {
    await broker[Symbol.asyncDispose]();
    broker = await openBrokerFixture({ env: { SIGNET_MQTT_MAX_QUEUED: '2' } });
    const first = await broker.connected(identityOf('dev-1'), { clean: false });
    await first.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await first.endAsync();
    await broker.event('DEVICE_DISCONNECTED');
    for (const text of ['1', '2', '3']) {
      await broker.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from(text));
      await new Promise(setImmediate);
    }
    const second = broker.client(identityOf('dev-1'), { clean: false });
    const messages = messagesOf(second);
    await until(() => expect(messages.map(([, text]) => text)).toEqual(['1', '2']));
    // it has acknowledged them before this
    await second.publishAsync('d/acme/dev-1/up/x', '', { qos: 1 });
    await broker.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from('4'));
    await until(() => expect(messages.map(([, text]) => text)).toEqual(['1', '2', '4']));
  });

  it('ends with a reason for each: keep-alive, shutdown', async () => {
    const silent = await rawSocket(identityOf('dev-1'));
    silent.resume();
    silent.write(connectPacket('dev-1', { keepalive: 1 }));
    const { data } = await broker.event('DEVICE_DISCONNECTED');
    expect(data.reason).toBe('keepalive');
    await broker.connected(identityOf('dev-2'));
    await broker.service[Symbol.asyncDispose]();
    const last = await broker.event('DEVICE_DISCONNECTED', (event) => event.data.deviceId === 'dev-2');
    expect(last.data.reason).toBe('shutdown');
    expect(broker.events.filter(({ type }) => type === 'DEVICE_REFUSED')).toEqual([]);
  });
});

describe('a CONNECT that is refused says why', () => {
  const refused = (code: string) => broker.event('DEVICE_REFUSED', ({ data }) => data.code === code);

  it('another client id than the device id, and none', async () => {
    expect(await broker.refusal(identityOf('dev-1'), { clientId: 'dev-2' })).toBe(2);
    expect((await refused('wrong-client-id')).data.message).toContain('"dev-2" is not the device id "dev-1"');
    expect(await broker.refusal(identityOf('dev-1'), { clientId: '', clean: true })).toBe(2);
  });

  it('MQTT 5; MQTT 3.1 is spoken', async () => {
    const socket = await rawSocket(identityOf('dev-1'));
    const answer = answerOn(socket);
    socket.write(connectPacket('dev-1', { protocolVersion: 5 }));
    expect((await answer).toString('hex')).toBe('2003008400');
    expect((await refused('malformed-request')).data.message).toContain('level 5 is not spoken');
    await broker.connected(identityOf('dev-1'), { protocolId: 'MQIsdp', protocolVersion: 3 });
  });

  it('too many connections of one device within a minute', async () => {
    await broker[Symbol.asyncDispose]();
    broker = await openBrokerFixture({ env: { SIGNET_MQTT_CONNECTS_PER_MINUTE: '2' } });
    for (let n = 0; n < 2; n++) await (await broker.connected(identityOf('dev-1'))).endAsync();
    expect(await broker.refusal(identityOf('dev-1'))).toBe(3);
    await refused('rate-limited');
    await broker.connected(identityOf('dev-2'));
  });
});

describe('broken and oversized packets', () => {
  const refused = (code: string) => broker.event('DEVICE_REFUSED', ({ data }) => data.code === code);

  it.each([300_000, 50_000])(
    'a packet of %i bytes ends the session when its header arrives',
    async (size) => {
      await broker[Symbol.asyncDispose]();
      broker = await openBrokerFixture({
        env: { SIGNET_MQTT_MAX_PACKET_BYTES: size > 100_000 ? '262144' : '1024' },
      });
      const heard: string[] = [];
      await broker.fixture.deps.bus.listen('signet.mqtt.>', ({ subject }) => void heard.push(subject));
      const client = await broker.connected(identityOf('dev-1'));
      const closed = closeOf(client);
      client.publish('d/acme/dev-1/up/x', Buffer.alloc(size), { qos: 1 });
      await closed;
      expect((await refused('packet-too-large')).data).toMatchObject({ deviceId: 'dev-1' });
      expect((await broker.event('DEVICE_DISCONNECTED')).data.reason).toBe('protocol');
      expect(heard).toEqual([]);
    },
  );

  it.each([
    ['bytes that are no MQTT', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a reserved packet type', Buffer.from([0xf0, 0x00])],
    ['a packet before CONNECT', generate({ cmd: 'pingreq' })],
    [
      'a CONNECT of another protocol',
      Buffer.from([0x10, 0x0c, 0, 4, 0x4d, 0x51, 0x54, 0x58, 4, 2, 0, 60, 0, 0]),
    ],
    ['two CONNECTs', Buffer.concat([connectPacket('dev-1'), connectPacket('dev-1')])],
    ['a wrong flag', Buffer.concat([connectPacket('dev-1'), Buffer.from([0x83, 0x00])])],
    [
      'a PUBLISH to a wildcard',
      Buffer.concat([connectPacket('dev-1'), Buffer.from([0x30, 0x05, 0, 3, 0x61, 0x2f, 0x23])]),
    ],
    [
      'a length without end',
      Buffer.concat([connectPacket('dev-1'), Buffer.from([0x30, 255, 255, 255, 255, 255])]),
    ],
  ])('%s: refused, and the broker goes on', async (_, bytes) => {
    const socket = await rawSocket(identityOf('dev-1'));
    const answer = answerOn(socket);
    socket.write(bytes);
    await answer;
    expect((await refused('malformed-request')).data.message).toMatch(/^packet: /);
    await broker.connected(identityOf('dev-1'));
  });

  it('random bytes after the handshake crash nothing', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const socket = await rawSocket(identityOf('dev-1'));
      const noise = Buffer.from(
        Array.from({ length: 64 }, (_, n) => (seed * 31 + n * n * 17 + seed * n) & 0xff),
      );
      const answer = answerOn(socket);
      socket.end(seed % 2 === 0 ? noise : Buffer.concat([connectPacket('dev-1'), noise]));
      await answer;
    }
    await broker.connected(identityOf('dev-1'));
  }, 60_000);
});

async function sessions(): Promise<number> {
  const lines = (await broker.fixture.exposition()).matchAll(/^signet_mqtt_sessions\{[^}]*\} (\d+)/gm);
  return Array.from(lines, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
}
