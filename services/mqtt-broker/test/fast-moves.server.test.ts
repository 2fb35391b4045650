import type { Bus } from '@signet/bus';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClusterFixture, hasServers, openClusterFixture } from './cluster-fixture.ts';
import { type BrokerFixture, closeOf, until } from './fixture.ts';

const MOVES = 24;
const DEVICES = 8;
const ENV = {
  SIGNET_MQTT_CONNECTS_PER_MINUTE: '100000',
  SIGNET_MQTT_CONNECTS_PER_ADDRESS_PER_MINUTE: '100000',
};

let cluster: ClusterFixture;
beforeEach(async () => {
  if (hasServers) cluster = await openClusterFixture();
});
afterEach(() => cluster?.[Symbol.asyncDispose]());

/** A bus that holds back what other nodes announce until `release` is called. */
function lateAnnouncements() {
  const released = Promise.withResolvers<void>();
  const wrapBus = (bus: Bus): Bus =>
    new Proxy(bus, {
      get(target, name) {
        if (name !== 'listen') {
          const member: unknown = Reflect.get(target, name);
          return typeof member === 'function' ? member.bind(target) : member;
        }
        const listen: Bus['listen'] = (subject, listener, options) => {
          if (subject !== 'signet.mqtt-broker.peers') return target.listen(subject, listener, options);
          return target.listen(
            subject,
            (message) => void released.promise.then(() => listener(message)),
            options,
          );
        };
        return listen;
      },
    });
  return { wrapBus, release: () => released.resolve() };
}

/** A bus on which the second subscription to the messages of dev-1 takes until `release` is called. */
function heldMailbox() {
  const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const left = Promise.withResolvers<void>();
  let count = 0;
  const wrapBus = (bus: Bus): Bus =>
    new Proxy(bus, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name !== 'listen') return typeof member === 'function' ? member.bind(target) : member;
        const listen: Bus['listen'] = async (subject, listener, options) => {
          if (subject !== 'signet.*.acme.dev-1.down.>' || ++count !== 2)
            return await target.listen(subject, listener, options);
          asked.resolve();
          await released.promise;
          const subscription = await target.listen(subject, listener, options);
          return {
            async [Symbol.asyncDispose]() {
              await subscription[Symbol.asyncDispose]();
              left.resolve();
            },
          };
        };
        return listen;
      },
    });
  return { wrapBus, asked: asked.promise, release: () => released.resolve(), left: left.promise };
}

async function publishes(client: MqttClient, deviceId: string): Promise<void> {
  await client.publishAsync(`d/acme/${deviceId}/up/x`, 'here', { qos: 1 });
}

describe.skipIf(!hasServers)('devices that move fast between two nodes', () => {
  it.each([
    ['persistent', false],
    ['clean', true],
  ] as const)(
    '%s sessions: each move gets its CONNACK, and the newest connection stays',
    async (_, clean) => {
      const nodes = [
        await cluster.node('one', { env: ENV }),
        await cluster.node('two', { env: ENV }),
      ] as const;
      const moves = async (deviceId: string) => {
        const identity = cluster.pki.operational('acme', deviceId);
        let newest: MqttClient | undefined;
        for (let n = 0; n < MOVES; n++) {
          const before = newest;
          const target = nodes[n % 2 === 0 ? 0 : 1];
          newest = await target.connected(identity, { clean });
          // in turn: the old connection is left open, or broken off
          if (n % 3 === 0) before?.stream.destroy();
        }
        await publishes(newest as MqttClient, deviceId);
        expect(newest?.connected).toBe(true);
      };
      await Promise.all(Array.from({ length: DEVICES }, (_unused, n) => moves(`dev-${n}`)));
    },
    120_000,
  );

  it('a connection is not closed because a node announces late that it had the device before', async () => {
    const late = lateAnnouncements();
    const one = await cluster.node('one');
    const two = await cluster.node('two', { wrapBus: late.wrapBus });
    const identity = cluster.pki.operational('acme', 'dev-1');
    const first = await one.connected(identity, { clean: false });
    const closed = closeOf(first);
    const second = await two.connected(identity, { clean: false });
    await closed;
    let isClosed = false;
    second.once('close', () => {
      isClosed = true;
    });
    late.release();
    await publishes(second, 'dev-1');
    // behind the late announcement
    const other = await one.connected(cluster.pki.operational('acme', 'dev-2'), { clean: false });
    await publishes(other, 'dev-2');
    await publishes(second, 'dev-1');
    expect(isClosed).toBe(false);
  });

  it('a device that connects to one node while it connects to another gets one CONNACK that stays', async () => {
    const nodes: readonly BrokerFixture[] = [
      await cluster.node('one', { env: ENV }),
      await cluster.node('two', { env: ENV }),
    ];
    const race = async (deviceId: string) => {
      const identity = cluster.pki.operational('acme', deviceId);
      for (let n = 0; n < MOVES / 2; n++) {
        const clients = nodes.map((node) => node.client(identity, { clean: false }));
        // one is told, the other closed, whichever claimed the session first
        await until(() => {
          expect(clients.filter(({ connected }) => connected)).toHaveLength(1);
          expect(clients.filter(({ disconnected, stream }) => disconnected || stream.destroyed)).toHaveLength(
            1,
          );
        });
        const left = clients.find(({ connected }) => connected);
        await publishes(left as MqttClient, deviceId);
        expect(left?.connected).toBe(true);
      }
    };
    await Promise.all(Array.from({ length: DEVICES }, (_, n) => race(`dev-${n}`)));
  }, 120_000);

  it('a device that moves on before its CONNECT was answered gets each message once', async () => {
    const held = heldMailbox();
    const one = await cluster.node('one', { wrapBus: held.wrapBus });
    const two = await cluster.node('two');
    const identity = cluster.pki.operational('acme', 'dev-1');
    const first = await one.connected(identity, { clean: true });
    await first.endAsync();
    const second = one.client(identity, { clean: false });
    await held.asked;
    const third = await two.connected(identity, { clean: false });
    const received: string[] = [];
    third.on('message', (_topic, payload) => received.push(payload.toString()));
    await third.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    const closed = closeOf(second);
    second.stream.destroy();
    await closed;
    // behind the end of the second connection
    await publishes(await one.connected(cluster.pki.operational('acme', 'dev-2')), 'dev-2');
    held.release();
    await held.left;
    for (const text of ['1', '2', '3'])
      await one.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from(text));
    await until(() => expect(received).toContain('3'));
    expect(received).toEqual(['1', '2', '3']);
  });
});
