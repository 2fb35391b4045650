import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClusterFixture, hasServers, openClusterFixture } from './cluster-fixture.ts';
import { type BrokerFixture, closeOf, messagesOf } from './fixture.ts';
import { storedUp } from './stored-up.ts';

let cluster: ClusterFixture;
let one: BrokerFixture;
let two: BrokerFixture;

beforeEach(async () => {
  if (!hasServers) return;
  cluster = await openClusterFixture();
  one = await cluster.node('one');
  two = await cluster.node('two');
});
afterEach(() => cluster?.[Symbol.asyncDispose]());

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 40_000, interval: 20 });
const identityOf = (deviceId: string) => cluster.pki.operational('acme', deviceId);
const send = (deviceId: string, text: string, options: { stored?: boolean; deadlineMs?: number } = {}) =>
  one.fixture.deps.bus.send(`signet.mqtt.acme.${deviceId}.down.x`, Buffer.from(text), options);
const allReady = () =>
  until(async () => {
    for (const node of [one, two]) expect((await node.fixture.deps.health.report()).ready).toBe(true);
  });

describe.skipIf(!hasServers)('while a server is unavailable for longer than anybody waits for it', () => {
  it('NATS: sessions live on and new ones are let in; QoS 1 is not acknowledged, senders are told; all goes on when it is back', async () => {
    const publisher = one.client(identityOf('dev-1'), { clean: false, reconnectPeriod: 50 });
    await until(() => expect(publisher.connected).toBe(true));
    const idle = await two.connected(identityOf('dev-2'), { clean: false });
    let idleClosed = false;
    void closeOf(idle).then(() => {
      idleClosed = true;
    });
    const heard = messagesOf(idle);
    await idle.subscribeAsync('d/acme/dev-2/down/#', { qos: 1 });
    await cluster.stop('nats');
    await until(async () => {
      const { ready, checks } = await two.fixture.deps.health.report();
      expect({ ready, reason: checks.bus?.reason }).toEqual({
        ready: false,
        reason: expect.stringContaining('NATS'),
      });
    });
    let ends = 0;
    publisher.on('close', () => ends++);
    const published = publisher.publishAsync('d/acme/dev-1/up/x', 'waits', { qos: 1 });
    // the broker gives up on the bus twice over: each time the session ends, and the device sends again
    await until(() => expect(ends).toBeGreaterThanOrEqual(2));
    await idle.publishAsync('d/acme/dev-2/up/x', 'may be lost', { qos: 0 });
    await expect(send('dev-2', 'not taken', { stored: true, deadlineMs: 100 })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await two.connected(identityOf('dev-3'));

    const waiting = send('dev-2', 'stored', { stored: true, deadlineMs: 40_000 });
    await cluster.start('nats');
    await Promise.all([published, waiting]);
    await allReady();
    expect((await storedUp(cluster.natsUrl)).get('dev-1')).toContain('waits');
    await until(() => expect(heard.map(([, text]) => text)).toContain('stored'));
    expect(idleClosed).toBe(false);
  }, 120_000);

  it('Redis: who is connected is served, new sessions are refused, what is stored for devices waits; all goes on when it is back', async () => {
    const here = await one.connected(identityOf('dev-1'), { clean: false });
    const heard = messagesOf(here);
    await here.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    const away = await two.connected(identityOf('dev-2'), { clean: false });
    await away.subscribeAsync('d/acme/dev-2/down/#', { qos: 1 });
    await away.endAsync();
    await one.event('DEVICE_DISCONNECTED', ({ data }) => data.deviceId === 'dev-2');
    await cluster.stop('redis');
    await until(async () => {
      for (const node of [one, two]) {
        const { checks } = await node.fixture.deps.health.report();
        expect(checks['mqtt-broker.sessions']?.reason).toContain('Redis is unavailable');
      }
    });
    await here.publishAsync('d/acme/dev-1/up/x', 'through', { qos: 1 });
    expect(await two.refusal(identityOf('dev-3'))).toBe(3);
    await send('dev-1', 'for one who is here', { stored: true });
    await send('dev-2', 'for one who is offline', { stored: true });
    // each was tried, and is kept
    await until(async () => expect(await cluster.stored()).toEqual({ messages: 2, triedAgain: 2 }));

    await cluster.start('redis');
    await allReady();
    await until(() => expect(heard.map(([, text]) => text)).toContain('for one who is here'));
    const back = messagesOf(one.client(identityOf('dev-2'), { clean: false }));
    await until(() => expect(back.map(([, text]) => text)).toContain('for one who is offline'));
    expect(here.connected).toBe(true);
    await two.connected(identityOf('dev-3'));
  }, 120_000);
});
