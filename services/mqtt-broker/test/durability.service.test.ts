import { type Bus, BusError } from '@signet/bus';
import { generate, parser as mqttParser } from 'mqtt-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, closeOf, openBrokerFixture, until } from './fixture.ts';
import { connectPacket, openRaw } from './raw-client.ts';

let broker: BrokerFixture;
afterEach(() => broker[Symbol.asyncDispose]());

/** The bus, whose storing of messages waits for the test; it fails those that the test fails. */
function heldBus() {
  const waiting: { subject: string; text: string; stored(): void; fail(): void }[] = [];
  const wrap = (bus: Bus): Bus => ({
    ...bus,
    async send(subject, payload, options) {
      if (options?.stored !== true) return await bus.send(subject, payload, options);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const text = Buffer.from(payload).toString();
      const fail = () => reject(new BusError('unavailable', 'the bus is unavailable'));
      waiting.push({ subject, text, stored: resolve, fail });
      await promise;
      await bus.send(subject, payload, options);
    },
  });
  return { waiting, wrap };
}

describe('QoS 1 and 2 are acknowledged when the bus has stored them', () => {
  it('and not before; in the order in which they came', async () => {
    const { waiting, wrap } = heldBus();
    broker = await openBrokerFixture({ wrapBus: wrap });
    const client = await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'));
    const acknowledged: string[] = [];
    for (const text of ['1', '2', '3'])
      client.publish('d/acme/dev-1/up/x', text, { qos: 1 }, () => acknowledged.push(text));
    await until(() => expect(waiting.map(({ text }) => text)).toEqual(['1', '2', '3']));
    waiting[2]?.stored();
    waiting[1]?.stored();
    const other = await broker.connected(broker.fixture.pki.operational('acme', 'dev-2'));
    await other.subscribeAsync('d/acme/dev-2/down/#');
    expect(acknowledged).toEqual([]);
    waiting[0]?.stored();
    await until(() => expect(acknowledged).toEqual(['1', '2', '3']));
  });

  it('while the bus is unavailable there is no PUBACK: the session ends, and the device sends again', async () => {
    const { waiting, wrap } = heldBus();
    broker = await openBrokerFixture({ wrapBus: wrap });
    const heard: string[] = [];
    await broker.fixture.deps.bus.listen('signet.mqtt.>', ({ payload }) => {
      heard.push(Buffer.from(payload).toString());
    });
    const client = broker.client(broker.fixture.pki.operational('acme', 'dev-1'), {
      clean: false,
      reconnectPeriod: 20,
    });
    const acknowledged = client.publishAsync('d/acme/dev-1/up/x', 'precious', { qos: 1 });
    let isAcknowledged = false;
    const noted = acknowledged.then(() => {
      isAcknowledged = true;
    });
    await until(() => expect(waiting).toHaveLength(1));
    const closed = closeOf(client);
    waiting[0]?.fail();
    await closed;
    expect(isAcknowledged).toBe(false);
    await until(() => expect(waiting).toHaveLength(2));
    waiting[1]?.stored();
    await noted;
    expect(heard).toEqual(['precious']);
    expect(broker.events.some(({ type }) => type === 'DEVICE_REFUSED')).toBe(false);
  });

  it('QoS 2 that is sent again before its PUBREL is not handed on twice', async () => {
    const { waiting, wrap } = heldBus();
    broker = await openBrokerFixture({ wrapBus: wrap });
    const socket = await openRaw(broker, broker.fixture.pki.operational('acme', 'dev-1'));
    const received: string[] = [];
    const parser = mqttParser();
    parser.on('packet', ({ cmd }) => received.push(cmd));
    socket.on('data', (chunk) => parser.parse(chunk));
    const publish = (dup: boolean) =>
      socket.write(
        generate({
          ...{ cmd: 'publish', topic: 'd/acme/dev-1/up/x', payload: 'once', qos: 2, retain: false },
          ...{ messageId: 7, dup },
        }),
      );
    socket.write(connectPacket('dev-1', { clean: false }));
    publish(false);
    await until(() => expect(waiting).toHaveLength(1));
    waiting[0]?.stored();
    await until(() => expect(received).toEqual(['connack', 'pubrec']));
    publish(true);
    await until(() => expect(received).toEqual(['connack', 'pubrec', 'pubrec']));
    socket.write(generate({ cmd: 'pubrel', messageId: 7 }));
    await until(() => expect(received.at(-1)).toBe('pubcomp'));
    expect(waiting).toHaveLength(1);
  });

  it('QoS 0 is handed on and may be lost: a bus that is unavailable ends no session', async () => {
    broker = await openBrokerFixture({
      wrapBus: (bus) => ({
        ...bus,
        send: async (subject, payload, options) => {
          if (subject.includes('.up.')) throw new BusError('unavailable', 'the bus is unavailable');
          await bus.send(subject, payload, options);
        },
      }),
    });
    const client = await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'));
    await client.publishAsync('d/acme/dev-1/up/x', 'lost', { qos: 0 });
    await client.subscribeAsync('d/acme/dev-1/down/#');
    expect(client.connected).toBe(true);
  });
});
