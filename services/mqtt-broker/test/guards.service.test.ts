import { afterEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, closeOf, messagesOf, openBrokerFixture, until } from './fixture.ts';
import { connectPacket, openRaw } from './raw-client.ts';

let broker: BrokerFixture;
afterEach(() => broker[Symbol.asyncDispose]());
const identityOf = (deviceId: string) => broker.fixture.pki.operational('acme', deviceId);
const tell = (deviceId: string, payload: string | Buffer) =>
  broker.fixture.deps.bus.send(`signet.mqtt.acme.${deviceId}.down.x`, Buffer.from(payload));

describe('a device that does not read what it is sent', () => {
  it('is cut off with that reason; others are served; what was queued for it comes when it is back', async () => {
    broker = await openBrokerFixture({ env: { SIGNET_MQTT_MAX_UNSENT_BYTES: '16384' } });
    const first = await broker.connected(identityOf('slow'), { clean: false });
    await first.subscribeAsync('d/acme/slow/down/#', { qos: 1 });
    await first.endAsync();
    await broker.event('DEVICE_DISCONNECTED');
    const socket = await openRaw(broker, identityOf('slow'));
    socket.write(connectPacket('slow', { clean: false }));
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    const other = await broker.connected(identityOf('dev-2'));
    const heard = messagesOf(other);
    await other.subscribeAsync('d/acme/dev-2/down/#');
    const payload = Buffer.alloc(64 * 1024, 'x');
    // some of it goes into buffers of the operating system, how much is its own business
    const isCut = () =>
      broker.events.some(({ data }) => (data as { reason?: string }).reason === 'slow-consumer');
    for (let n = 0; n < 400 && !isCut(); n++) {
      await tell('slow', payload);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const { data } = await broker.event(
      'DEVICE_DISCONNECTED',
      (event) => event.data.reason === 'slow-consumer',
    );
    expect(data.deviceId).toBe('slow');
    await tell('dev-2', 'served');
    await until(() => expect(heard).toEqual([['d/acme/dev-2/down/x', 'served']]));
    const again = broker.client(identityOf('slow'), { clean: false });
    const queued = messagesOf(again);
    await until(() => expect(queued.length).toBeGreaterThan(0));
    socket.destroy();
  }, 60_000);
});

describe('what waits for a device that is offline', () => {
  it('is bounded in bytes too, and counted anew each time that it leaves', async () => {
    broker = await openBrokerFixture({ env: { SIGNET_MQTT_MAX_QUEUED_BYTES: '1024' } });
    const client = () => broker.client(identityOf('dev-1'), { clean: false });
    const first = await broker.connected(identityOf('dev-1'), { clean: false });
    await first.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await first.endAsync();
    await broker.event('DEVICE_DISCONNECTED');
    for (const text of ['a', 'b', 'c']) await tell('dev-1', text.repeat(500));
    await until(async () =>
      expect(await broker.fixture.exposition()).toMatch(
        /messages_total\{[^}]*direction="dropped"[^}]*\} 1$/m,
      ),
    );
    const second = client();
    const heard = messagesOf(second);
    await until(() => expect(heard.map(([, text]) => text[0])).toEqual(['a', 'b']));
    await second.endAsync();
    await until(() =>
      expect(broker.events.filter(({ type }) => type === 'DEVICE_DISCONNECTED')).toHaveLength(2),
    );
    await tell('dev-1', 'd'.repeat(1000));
    const third = messagesOf(client());
    await until(() => expect(third.map(([, text]) => text[0])).toEqual(['d']));
  });
});

describe('a node that stops', () => {
  it('sheds its sessions at the set rate, not all at once', async () => {
    broker = await openBrokerFixture({
      env: { SIGNET_MQTT_DRAIN_PER_SECOND: '20', SIGNET_STOP_SECONDS: '60' },
    });
    const clients = await Promise.all(
      Array.from({ length: 5 }, (_, n) => broker.connected(identityOf(`dev-${n}`))),
    );
    let left = clients.length;
    const leftWhenClosed: number[] = [];
    const closed = clients.map((client) =>
      closeOf(client).then(() => {
        leftWhenClosed.push(--left);
      }),
    );
    const seen = new Set<number>();
    const watch = setInterval(() => seen.add(clients.filter(({ connected }) => connected).length), 1);
    await broker.service[Symbol.asyncDispose]();
    await Promise.all(closed);
    clearInterval(watch);
    // one a step: there were moments with some gone and some still served
    expect([...seen].filter((count) => count > 0 && count < 5).length).toBeGreaterThan(1);
    for (const { data } of broker.events.filter(({ type }) => type === 'DEVICE_DISCONNECTED'))
      expect(data).toMatchObject({ reason: 'shutdown' });
  });
});
