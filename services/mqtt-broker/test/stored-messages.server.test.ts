import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClusterFixture, hasServers, openClusterFixture } from './cluster-fixture.ts';
import { type BrokerFixture, messagesOf, until } from './fixture.ts';

let cluster: ClusterFixture;
let one: BrokerFixture;
let two: BrokerFixture;

beforeEach(async () => {
  if (hasServers) cluster = await openClusterFixture();
});
afterEach(() => cluster?.[Symbol.asyncDispose]());

const identityOf = (deviceId: string) => cluster.pki.operational('acme', deviceId);
const store = (deviceId: string, ...texts: string[]) =>
  texts.reduce(
    (before, text) =>
      before.then(() =>
        one.fixture.deps.bus.send(`signet.mqtt.acme.${deviceId}.down.x`, Buffer.from(text), {
          ...{ stored: true, deadlineMs: 30_000 },
        }),
      ),
    Promise.resolve(),
  );

async function nodes(env: Record<string, string> = {}): Promise<void> {
  one = await cluster.node('one', { env });
  two = await cluster.node('two', { env });
}

/** A device whose session is on node two, and which is offline. */
async function awayFromTwo(deviceId: string): Promise<void> {
  const client = await two.connected(identityOf(deviceId), { clean: false });
  await client.subscribeAsync(`d/acme/${deviceId}/down/#`, { qos: 1 });
  await client.endAsync();
  await one.event('DEVICE_DISCONNECTED', ({ data }) => data.deviceId === deviceId);
}

/** Waits until the brokers have dealt with all that was stored for devices. */
const allTaken = () => until(async () => expect((await cluster.stored()).messages).toBe(0));

describe.skipIf(!hasServers)('what is stored for a device', () => {
  it('waits in its queue although the node that it was on has gone, and comes in its order', async () => {
    await nodes();
    await awayFromTwo('dev-1');
    await store('dev-1', '1', '2');
    await until(async () => expect(await cluster.waiting('dev-1')).toBe(2));
    await two.service[Symbol.asyncDispose]();
    await store('dev-1', '3', '4');
    await until(async () => expect(await cluster.waiting('dev-1')).toBe(4));
    const heard = messagesOf(one.client(identityOf('dev-1'), { clean: false }));
    await until(() => expect(heard.map(([, text]) => text)).toEqual(['1', '2', '3', '4']));
  });

  it('is bounded in messages and bytes there too; what there is no room for is counted', async () => {
    await nodes({ SIGNET_MQTT_MAX_QUEUED: '3', SIGNET_MQTT_MAX_QUEUED_BYTES: '1024' });
    await awayFromTwo('many');
    await awayFromTwo('large');
    await two.service[Symbol.asyncDispose]();
    await store('many', '1', '2', '3', '4');
    await store('large', 'a'.repeat(600), 'b'.repeat(600));
    await allTaken();
    expect(await cluster.waiting('many')).toBe(3);
    expect(await cluster.waiting('large')).toBe(1);
    const dropped = /signet_mqtt_messages_total\{[^}]*direction="dropped"[^}]*\} 2$/m;
    await until(async () => expect(await one.fixture.exposition()).toMatch(dropped));
  });

  it('comes to a device without a persistent session if it is here, and is not kept for one that is not', async () => {
    await nodes();
    await store('dev-1', 'to nobody');
    await allTaken();
    const client = await two.connected(identityOf('dev-1'), { clean: true });
    const heard = messagesOf(client);
    await client.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await store('dev-1', 'here');
    await until(() => expect(heard).toEqual([['d/acme/dev-1/down/x', 'here']]));
    expect(await cluster.waiting('dev-1')).toBe(0);
  });

  it('that names no topic is dropped, and holds nobody up', async () => {
    await nodes();
    const client = await two.connected(identityOf('dev-1'), { clean: false });
    const heard = messagesOf(client);
    await client.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    const { bus } = one.fixture.deps;
    await bus.send('signet.mqtt.acme.dev-1.down.%ZZ', Buffer.from('lost'), { stored: true });
    await store('dev-1', 'after it');
    await until(() => expect(heard).toEqual([['d/acme/dev-1/down/x', 'after it']]));
  });

  it('F66: of two accounts with the same device id each gets its own, on two nodes; neither session is disturbed', async () => {
    await nodes();
    const rival = cluster.pki.operational('rival', 'dev-1');
    const [ours, theirs] = [
      await one.connected(identityOf('dev-1'), { clean: false }),
      await two.connected(rival, { clean: false }),
    ];
    const [heard, theirsHeard] = [messagesOf(ours), messagesOf(theirs)];
    await ours.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    await theirs.subscribeAsync('d/rival/dev-1/down/#', { qos: 1 });
    const { bus } = one.fixture.deps;
    for (const account of ['acme', 'rival']) {
      await bus.send(`signet.mqtt.${account}.dev-1.down.x`, Buffer.from(`stored ${account}`), {
        stored: true,
      });
      await bus.send(`signet.mqtt.${account}.dev-1.down.x`, Buffer.from(`plain ${account}`));
    }
    await until(() => {
      expect(heard.map(([, text]) => text).sort()).toEqual(['plain acme', 'stored acme']);
      expect(theirsHeard.map(([, text]) => text).sort()).toEqual(['plain rival', 'stored rival']);
    });
    // a takeover in one account is none in the other
    const again = await two.connected(identityOf('dev-1'), { clean: false });
    await until(() => expect(ours.connected).toBe(false));
    expect({ rival: theirs.connected, ours: again.connected }).toEqual({ rival: true, ours: true });
    const [granted] = await again.subscribeAsync('d/rival/dev-1/down/#', { qos: 1 }).catch(() => []);
    expect(granted?.qos ?? 128).toBe(128);
  });
});
