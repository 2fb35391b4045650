import { type CuttableWay, openCuttableWay } from '@signet/tests/servers/cuttable';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClusterFixture, hasServers, openClusterFixture } from './cluster-fixture.ts';
import { type BrokerFixture, messagesOf } from './fixture.ts';

let cluster: ClusterFixture;
let way: CuttableWay;
let one: BrokerFixture;
let two: BrokerFixture;

beforeEach(async () => {
  if (!hasServers) return;
  cluster = await openClusterFixture();
  way = await openCuttableWay(Number(new URL(cluster.natsUrl).port));
  one = await cluster.node('one');
  two = await cluster.node('two', { natsUrl: `nats://127.0.0.1:${way.port}` });
});
afterEach(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await way?.[Symbol.asyncDispose]();
});

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 40_000, interval: 20 });
const device = () => cluster.pki.operational('acme', 'dev-1');
const send = (text: string) =>
  one.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from(text), { stored: true });

/** Node two loses NATS; node one does not. */
async function cutOff(): Promise<void> {
  way.cut(true);
  await until(() => expect(two.fixture.deps.bus.failure()).toContain('disconnected'));
}

describe.skipIf(!hasServers)('a node that loses the bus while another does not', () => {
  it('sends a device that stayed connected what was stored for it meanwhile, once and in order, when the bus is back', async () => {
    const here = await two.connected(device(), { clean: false });
    const heard = messagesOf(here);
    await here.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await send('1');
    await until(() => expect(heard).toHaveLength(1));
    await cutOff();
    for (const text of ['2', '3', '4']) await send(text);
    await until(async () => expect(await cluster.waiting('dev-1')).toBe(3));
    way.cut(false);
    await until(() => expect(two.fixture.deps.bus.failure()).toBeUndefined());
    await send('5');
    await until(() => expect(heard).toHaveLength(5));
    expect(heard.map(([, text]) => text)).toEqual(['1', '2', '3', '4', '5']);
    await until(async () => expect(await cluster.waiting('dev-1')).toBe(0));
    expect(here.connected).toBe(true);
  }, 120_000);

  it('does the same for a device whose session has no queue: the message waits in the stream', async () => {
    const here = await two.connected(device(), { clean: true });
    const heard = messagesOf(here);
    await here.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await cutOff();
    await send('1');
    await until(async () => expect(await cluster.stored()).toMatchObject({ messages: 1, triedAgain: 1 }));
    way.cut(false);
    await until(() => expect(heard.map(([, text]) => text)).toEqual(['1']));
    await here.endAsync();
    await two.event('DEVICE_DISCONNECTED');
    await send('2');
    // nobody has its session any more: what is sent to it is not kept
    await until(async () => expect(await cluster.stored()).toMatchObject({ messages: 0 }));
  }, 120_000);
});
