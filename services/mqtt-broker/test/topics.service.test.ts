import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, closeOf, messagesOf, openBrokerFixture, until } from './fixture.ts';

let broker: BrokerFixture;
beforeEach(async () => {
  broker = await openBrokerFixture();
});
afterEach(() => broker[Symbol.asyncDispose]());

const refusedTopic = () => broker.event('DEVICE_REFUSED', ({ data }) => data.code === 'topic-not-allowed');

async function up(subject = 'signet.mqtt.>') {
  const heard: [string, string][] = [];
  await broker.fixture.deps.bus.listen(subject, ({ subject: from, payload }) => {
    heard.push([from, Buffer.from(payload).toString()]);
  });
  return heard;
}

describe('topics', () => {
  it('what a device publishes below up/ is on the bus, its levels encoded', async () => {
    const heard = await up();
    const client = await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'));
    await client.publishAsync('d/acme/dev-1/up/temperature', '21', { qos: 1 });
    await client.publishAsync('d/acme/dev-1/up/a.b/*/größe', '', { qos: 0 });
    await client.publishAsync('d/acme/dev-1/up/twice', '2', { qos: 2 });
    await until(() =>
      expect(heard.toSorted()).toEqual([
        ['signet.mqtt.acme.dev-1.up.a%2Eb.%2A.gr%C3%B6%C3%9Fe', ''],
        ['signet.mqtt.acme.dev-1.up.temperature', '21'],
        ['signet.mqtt.acme.dev-1.up.twice', '2'],
      ]),
    );
  });

  it('a message on the bus reaches the device that it names, and no other', async () => {
    const { pki, deps } = broker.fixture;
    const mine = await broker.connected(pki.operational('acme', 'dev-1'));
    const other = await broker.connected(pki.operational('acme', 'dev-2'));
    await mine.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await other.subscribeAsync('d/acme/dev-2/down/#', { qos: 1 });
    const [toMine, toOther] = [messagesOf(mine), messagesOf(other)];
    await deps.bus.send('signet.mqtt.acme.dev-1.down.led.%2B', Buffer.from('never'));
    await deps.bus.send('signet.mqtt.acme.dev-1.down.led', Buffer.from('on'));
    await deps.bus.send('signet.mqtt.acme.dev-2.down.led', Buffer.from('off'));
    await until(() => {
      expect(toMine).toEqual([['d/acme/dev-1/down/led', 'on']]);
      expect(toOther).toEqual([['d/acme/dev-2/down/led', 'off']]);
    });
  });

  it.each([
    'd/acme/dev-2/up/x',
    'd/rival/dev-1/up/x',
    'd/acme/dev-1/down/x',
    'd/acme/dev-1/up',
    'd/acme/dev-1/up/',
    'd/acme/dev-1/up//x',
    '/d/acme/dev-1/up/x',
    '$SYS/x/new/clients',
    '$SYS/sub/add',
    'a/acme/shared/x',
    '$signet/dev-1/provisioning/request',
  ])(
    'F74: may not publish to %s: no PUBACK, the connection ends, and the operator sees why',
    async (topic) => {
      const heard = await up();
      const client = await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'));
      const closed = closeOf(client);
      const acknowledged = client.publishAsync(topic, 'x', { qos: 1 }).then(
        () => true,
        () => false,
      );
      await closed;
      client.end(true);
      expect(await acknowledged).toBe(false);
      expect((await refusedTopic()).data).toMatchObject({ deviceId: 'dev-1', listener: 'mqtt' });
      const left = await broker.event('DEVICE_DISCONNECTED');
      expect(left.data.reason).toBe('protocol');
      expect(heard).toEqual([]);
    },
  );

  it.each([
    '#',
    '+/acme/dev-1/down/x',
    'd/+/dev-1/down/#',
    'd/acme/+/down/#',
    'd/acme/dev-1/#',
    'd/acme/dev-1/+/x',
    'd/acme/dev-1/up/#',
    'd/acme/dev-2/down/#',
    'd/rival/dev-1/down/#',
    'd/acme/dev-1/down',
    '$SYS/#',
    '$share/g/d/acme/dev-1/down/#',
    'a/rival/shared/#',
    'a/+/shared/x',
  ])('F66, F74: a subscription to %s is answered 0x80; the session goes on', async (filter) => {
    const client = await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'));
    const [granted] = await client.subscribeAsync(filter).catch(() => [{ qos: 128 }]);
    expect(granted?.qos).toBe(128);
    expect((await refusedTopic()).data.message).toContain('subscribe');
    await client.publishAsync('d/acme/dev-1/up/still-here', '', { qos: 1 });
  });

  it.each([
    ['d/acme/dev-1/up/state/', 'has an empty level (it ends in "/", or has "//"), which is not carried'],
    ['d/acme/dev-1/up/a//b', 'has an empty level (it ends in "/", or has "//"), which is not carried'],
    ['d/acme/dev-2/up/x', "is not below the device's own up/"],
    [
      `d/acme/dev-1/up/${'ü'.repeat(600)}`,
      'is too long: 3626 bytes as a subject of the bus, at most 3072 are carried',
    ],
  ])('an operator reads why a device may not publish to %.32s', async (topic, reason) => {
    for (const qos of [0, 1, 2] as const) {
      const client = await broker.connected(broker.fixture.pki.operational('acme', `dev-1`));
      const closed = closeOf(client);
      client.publish(topic, 'x', { qos });
      await closed;
      client.end(true);
    }
    const { data } = await refusedTopic();
    expect(data.message).toBe(`publish: "${topic.slice(0, 100)}" ${reason}`);
  });

  it('a will on a topic that is too long is refused at CONNECT, a filter with 0x80', async () => {
    const identity = broker.fixture.pki.operational('acme', 'dev-1');
    const will = {
      topic: `d/acme/dev-1/up/${'%'.repeat(1100)}`,
      payload: Buffer.from(''),
      qos: 1 as const,
      retain: false,
    };
    expect(await broker.refusal(identity, { will })).toBe(5);
    expect((await refusedTopic()).data.message).toContain('is too long: 3326 bytes');
    const client = await broker.connected(identity);
    for (const root of ['d/acme/dev-1/down/', 'a/acme/shared/']) {
      const [granted] = await client.subscribeAsync(root + 'x'.repeat(4000)).catch(() => [{ qos: 128 }]);
      expect(granted?.qos).toBe(128);
    }
    await client.publishAsync('d/acme/dev-1/up/still-here', '', { qos: 1 });
  });

  it('F66: two accounts have a device of one name, side by side', async () => {
    const { pki, deps } = broker.fixture;
    const identities = [
      pki.operational('acme', 'dev-1'),
      pki.operational('rival', 'dev-1', { signedBy: pki.rivalIssuing }),
    ];
    const heard = await up();
    const received: [string, string][][] = [];
    for (const [n, identity] of identities.entries()) {
      const account = ['acme', 'rival'][n];
      const client = await broker.connected(identity, { clean: false });
      await client.subscribeAsync(`d/${account}/dev-1/down/#`, { qos: 1 });
      received.push(messagesOf(client));
      await client.publishAsync(`d/${account}/dev-1/up/x`, `${account}`, { qos: 1 });
    }
    await deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from('for acme'));
    await deps.bus.send('signet.mqtt.rival.dev-1.down.x', Buffer.from('for rival'));
    await until(() =>
      expect(received).toEqual([
        [['d/acme/dev-1/down/x', 'for acme']],
        [['d/rival/dev-1/down/x', 'for rival']],
      ]),
    );
    expect(heard.filter(([subject]) => subject.includes('.up.'))).toEqual([
      ['signet.mqtt.acme.dev-1.up.x', 'acme'],
      ['signet.mqtt.rival.dev-1.up.x', 'rival'],
    ]);
    expect(broker.events.some(({ type }) => type === 'DEVICE_DISCONNECTED')).toBe(false);
  });

  it('a will goes to the bus when the connection breaks; it does not when the device says goodbye', async () => {
    const heard = await up();
    const { pki } = broker.fixture;
    const will = {
      topic: 'd/acme/dev-1/up/gone',
      payload: Buffer.from('bye'),
      qos: 1 as const,
      retain: true,
    };
    const polite = await broker.connected(pki.operational('acme', 'dev-1'), { will });
    await polite.endAsync();
    await broker.event('DEVICE_DISCONNECTED', ({ data }) => data.reason === 'client');
    const broken = await broker.connected(pki.operational('acme', 'dev-1'), { will });
    broken.stream.destroy();
    await broker.event('DEVICE_DISCONNECTED', ({ data }) => data.reason === 'network');
    await until(() => expect(heard).toEqual([['signet.mqtt.acme.dev-1.up.gone', 'bye']]));
  });

  it('a will on a topic of another device is refused at CONNECT', async () => {
    const will = {
      topic: 'd/acme/dev-2/up/gone',
      payload: Buffer.from('bye'),
      qos: 1 as const,
      retain: false,
    };
    expect(await broker.refusal(broker.fixture.pki.operational('acme', 'dev-1'), { will })).toBe(5);
    expect((await refusedTopic()).data.message).toContain('will: "d/acme/dev-2/up/gone"');
  });

  it('the will of a device that was denied is dropped', async () => {
    const heard = await up();
    const will = {
      topic: 'd/acme/dev-1/up/gone',
      payload: Buffer.from('bye'),
      qos: 1 as const,
      retain: false,
    };
    await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'), { will });
    await broker.fixture.deny({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
    await broker.event('DEVICE_DISCONNECTED', ({ data }) => data.reason === 'denied');
    const other = await broker.connected(broker.fixture.pki.operational('acme', 'dev-2'));
    await other.publishAsync('d/acme/dev-2/up/x', '', { qos: 1 });
    expect(heard.map(([subject]) => subject)).toEqual(['signet.mqtt.acme.dev-2.up.x']);
  });

  it('nothing is retained: the flag is dropped', async () => {
    const client = await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'));
    const heard = await up();
    await client.publishAsync('d/acme/dev-1/up/x', 'kept?', { qos: 1, retain: true });
    await until(() => expect(heard).toHaveLength(1));
  });

  it('the number of subscriptions is bounded; giving one up makes room', async () => {
    await broker[Symbol.asyncDispose]();
    broker = await openBrokerFixture({ env: { SIGNET_MQTT_MAX_SUBSCRIPTIONS: '2' } });
    const client = await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'), { clean: false });
    const subscribe = async (level: string) => {
      const granted = await client
        .subscribeAsync(`d/acme/dev-1/down/${level}`, { qos: 1 })
        .catch(() => [{ qos: 128 }]);
      return granted[0]?.qos;
    };
    expect([await subscribe('a'), await subscribe('b'), await subscribe('a')]).toEqual([1, 1, 1]);
    expect(await subscribe('c')).toBe(128);
    await client.unsubscribeAsync('d/acme/dev-1/down/a');
    expect(await subscribe('c')).toBe(1);
  });
});
