import type { TLSSocket } from 'node:tls';
import { generate, parser as mqttParser, type Packet } from 'mqtt-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, openBrokerFixture, until } from './fixture.ts';
import { connectPacket, openRaw } from './raw-client.ts';

const DOWN = 'd/acme/dev-1/down';

let broker: BrokerFixture;
afterEach(() => broker[Symbol.asyncDispose]());

async function device(): Promise<{ socket: TLSSocket; got: Packet[] }> {
  const socket = await openRaw(broker, broker.fixture.pki.operational('acme', 'dev-1'));
  const got: Packet[] = [];
  const parser = mqttParser();
  parser.on('packet', (packet) => got.push(packet));
  socket.on('data', (chunk) => parser.parse(chunk));
  socket.write(connectPacket('dev-1', { clean: false }));
  await until(() => expect(got.map(({ cmd }) => cmd)).toContain('connack'));
  return { socket, got };
}

function subscribe(messageId: number, ...filters: [string, 0 | 1 | 2][]): Buffer {
  return generate({
    ...{ cmd: 'subscribe', messageId },
    subscriptions: filters.map(([topic, qos]) => ({
      topic: topic.startsWith('/') ? DOWN + topic : topic,
      qos,
    })),
  });
}

function unsubscribe(messageId: number, filter: string): Buffer {
  return generate({ cmd: 'unsubscribe', messageId, unsubscriptions: [DOWN + filter] });
}

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  it('a filter that comes twice in a SUBSCRIBE has two codes in its SUBACK (MQTT-3.8.4-5, -6); the last one counts', async () => {
    broker = await openBrokerFixture();
    const { socket, got } = await device();
    socket.write(subscribe(1, ['/a', 1], ['/a', 0], ['other/x', 1], ['/b', 2], ['/b', 2]));
    await until(() => expect(got).toHaveLength(2));
    expect(got[1]).toMatchObject({ cmd: 'suback', granted: [1, 0, 0x80, 2, 2] });
    const { bus } = broker.fixture.deps;
    for (const level of ['a', 'b'])
      await bus.send(`signet.mqtt.acme.dev-1.down.${level}`, Buffer.from(level));
    await until(() => expect(got).toHaveLength(4));
    expect(got[2]).toMatchObject({ topic: `${DOWN}/a`, qos: 0 });
    expect(got[3]).toMatchObject({ topic: `${DOWN}/b`, qos: 1 });
  });

  it('that come in one piece are done one after the other: what was said last holds, now and after a reconnect', async () => {
    broker = await openBrokerFixture();
    const { socket, got } = await device();
    socket.write(subscribe(1, ['/a', 1]));
    await until(() => expect(got).toHaveLength(2));
    const changes = [
      unsubscribe(2, '/a'),
      subscribe(3, ['/a', 1]),
      subscribe(4, ['/b', 1]),
      unsubscribe(5, '/b'),
    ];
    socket.write(Buffer.concat(changes));
    await until(() => expect(got).toHaveLength(6));
    expect(got.map(({ messageId }) => messageId ?? 0)).toEqual([0, 1, 2, 3, 4, 5]);
    const { bus } = broker.fixture.deps;
    const send = async (stored: boolean) => {
      for (const level of ['b', 'a'])
        await bus.send(
          `signet.mqtt.acme.dev-1.down.${level}`,
          Buffer.from(stored ? 'stored' : 'plain'),
          stored ? { stored, deadlineMs: 10_000 } : {},
        );
    };
    await send(false);
    await until(() => expect(got.slice(6)).toMatchObject([{ cmd: 'publish', topic: `${DOWN}/a` }]));
    socket.end(generate({ cmd: 'disconnect' }));
    await broker.event('DEVICE_DISCONNECTED');
    await send(true);
    const again = await device();
    await until(() => expect(again.got).toHaveLength(3));
    expect(again.got.slice(1)).toMatchObject([
      { topic: `${DOWN}/a`, payload: Buffer.from('plain'), dup: true },
      { topic: `${DOWN}/a`, payload: Buffer.from('stored'), dup: false },
    ]);
  });
});
