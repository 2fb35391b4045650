import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { generate, parser as mqttParser, type Packet } from 'mqtt-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { openSqliteSessions } from '../src/adapters/sqlite-sessions.ts';
import { type BrokerFixture, messagesOf, openBrokerFixture, until } from './fixture.ts';
import { connectPacket, openRaw } from './raw-client.ts';

const DOWN = 'd/acme/dev-1/down';

let broker: BrokerFixture;
afterEach(() => broker[Symbol.asyncDispose]());

function send(text: string, stored = false): Promise<void> {
  const options = stored ? { stored, deadlineMs: 30_000 } : {};
  return broker.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from(text), options);
}

/** A device that reads and says nothing by itself. */
async function connect(): Promise<{ socket: TLSSocket; got: Packet[] }> {
  const socket = await openRaw(broker, broker.fixture.pki.operational('acme', 'dev-1'));
  const got: Packet[] = [];
  const parser = mqttParser();
  parser.on('packet', (packet) => got.push(packet));
  socket.on('data', (chunk) => parser.parse(chunk));
  socket.write(connectPacket('dev-1', { clean: false }));
  await until(() => expect(got.map(({ cmd }) => cmd)).toContain('connack'));
  return { socket, got };
}

const nameOf = (packet: Packet) =>
  packet.cmd === 'publish' ? `${packet.messageId} ${packet.payload.toString().trim()}` : packet.cmd;

describe('what waits for a device', () => {
  it('comes when it connects, also where more than a page before it has expired meanwhile', async () => {
    let now = Date.now();
    broker = await openBrokerFixture({ now: () => now, env: { SIGNET_MQTT_QUEUED_SECONDS: '1000' } });
    const identity = broker.fixture.pki.operational('acme', 'dev-1');
    const first = await broker.connected(identity, { clean: false });
    await first.subscribeAsync(`${DOWN}/#`, { qos: 1 });
    await first.endAsync();
    await using sessions = await openSqliteSessions({
      ...{ path: join(broker.fixture.dataDir, 'mqtt-sessions.db'), messageSeconds: 1000, now: () => now },
    });
    const waits = (messages: number) =>
      until(async () => expect(await sessions.waiting('acme/dev-1')).toMatchObject({ messages }));
    for (let n = 0; n < 100; n++) await send(`old ${n}`, true);
    await waits(100);
    now += 900_000;
    for (let n = 0; n < 5; n++) await send(`new ${n}`, true);
    await waits(105);
    now += 200_000;
    const messages = messagesOf(broker.client(identity, { clean: false }));
    await until(() =>
      expect(messages.map(([, text]) => text)).toEqual(['new 0', 'new 1', 'new 2', 'new 3', 'new 4']),
    );
  });

  it('is sent under the same packet id however often the connection breaks (MQTT-4.4.0-1)', async () => {
    const env = { SIGNET_MQTT_MAX_UNSENT_BYTES: '64000000', SIGNET_MQTT_MAX_QUEUED_BYTES: '64000000' };
    broker = await openBrokerFixture({ env });
    const slow = await connect();
    const subscriptions = [{ topic: `${DOWN}/#`, qos: 1 as const }];
    slow.socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions }));
    await until(() => expect(slow.got).toHaveLength(2));
    // some are sent, the others wait behind them
    slow.socket.pause();
    const filler = ' '.repeat(100_000);
    for (let n = 0; n < 120; n++) await send(`${n}${filler}`);
    slow.socket.destroy();
    await broker.event('DEVICE_DISCONNECTED');
    const second = await connect();
    await until(() => expect(second.got).toHaveLength(121));
    const sent = second.got.slice(1);
    for (const { messageId } of sent.slice(0, 3))
      second.socket.write(generate({ cmd: 'puback', messageId: messageId ?? 0 }));
    second.socket.write(generate({ cmd: 'pingreq' }));
    await until(() => expect(second.got.at(-1)?.cmd).toBe('pingresp'));
    second.socket.destroy();
    const third = await connect();
    await until(() => expect(third.got).toHaveLength(118));
    expect(third.got.slice(1).map(nameOf)).toEqual(sent.slice(3).map(nameOf));
  });
});
