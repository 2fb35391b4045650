import {
  checkMqttCredentials,
  getMqttPolicy,
  type MqttPolicy,
  OperationError,
  setMqttPolicy,
  sharedSubject,
} from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, messagesOf, openBrokerFixture, until } from './fixture.ts';

let broker: BrokerFixture;
beforeEach(async () => {
  broker = await openBrokerFixture();
});
afterEach(() => broker[Symbol.asyncDispose]());

const identityOf = (deviceId: string, account = 'acme') => broker.fixture.pki.operational(account, deviceId);
const bus = () => broker.fixture.deps.bus;
const wants = (change: Partial<MqttPolicy>) =>
  bus().request(setMqttPolicy, { account: 'acme', change, by: 'ada' });
const share = (levels: string[], text: string, account = 'acme') =>
  bus().send(sharedSubject(account, levels), Buffer.from(text));

/** Stands for the provisioning service: one device, one password. */
async function serveCredentials(): Promise<AsyncDisposable> {
  return await bus().serve(checkMqttCredentials, async ({ account, deviceId, username, password }) => {
    const isRight = account === 'acme' && deviceId === 'dev-1' && username === 'u-1' && password === 'right';
    if (!isRight) throw new OperationError('wrong-password', 'password: wrong');
    return {};
  });
}

describe('F21: an account that requires user name and password beside the certificate', () => {
  const right = { username: 'u-1', password: 'right' };

  it('lets in a device that shows both', async () => {
    await using _ = await serveCredentials();
    await wants({ secondFactor: true });
    const client = await broker.connected(identityOf('dev-1'), right);
    expect(client.connected).toBe(true);
  });

  it.each([
    [{}, 'no-credentials', 4],
    [{ username: 'u-1' }, 'no-credentials', 4],
    [{ username: 'u-1', password: '' }, 'wrong-password', 4],
    [{ username: 'u-1', password: 'wrong' }, 'wrong-password', 4],
    [{ username: 'u-2', password: 'right' }, 'wrong-password', 4],
  ])('refuses the certificate with %j: %s', async (credentials, code, returnCode) => {
    await using _ = await serveCredentials();
    await wants({ secondFactor: true });
    expect(await broker.refusal(identityOf('dev-1'), credentials)).toBe(returnCode);
    const { data } = await broker.event('DEVICE_REFUSED');
    expect(data).toMatchObject({ code, deviceId: 'dev-1', listener: 'mqtt' });
  });

  it("refuses another device with this one's password", async () => {
    await using _ = await serveCredentials();
    await wants({ secondFactor: true });
    expect(await broker.refusal(identityOf('dev-2'), right)).toBe(4);
  });

  it('refuses everybody while nobody can tell, and says: try again', async () => {
    await wants({ secondFactor: true });
    expect(await broker.refusal(identityOf('dev-1'), right)).toBe(3);
    expect((await broker.event('DEVICE_REFUSED')).data).toMatchObject({ code: 'unavailable' });
  });

  it('never lets the password stand in for the certificate', async () => {
    await using _ = await serveCredentials();
    await wants({ secondFactor: true });
    expect(await broker.refusal(broker.fixture.pki.defective('forged', 'acme', 'dev-1'), right)).toBe(5);
  });

  it('asks no other account for it', async () => {
    await wants({ secondFactor: true });
    expect((await broker.connected(identityOf('dev-1', 'rival-free'))).connected).toBe(true);
  });

  it('is remembered by a node that starts again', async () => {
    await wants({ secondFactor: true });
    expect(await bus().request(getMqttPolicy, { account: 'acme' })).toEqual({
      secondFactor: true,
      shared: true,
      retainShared: false,
    });
    await broker.restart();
    expect(await broker.refusal(identityOf('dev-1'))).toBe(4);
  });
});

describe('what an account shares with its devices', () => {
  it('reaches all of them that subscribe, and none of another account', async () => {
    const clients = await Promise.all(['dev-1', 'dev-2'].map((id) => broker.connected(identityOf(id))));
    const rival = await broker.connected(identityOf('dev-1', 'beta'));
    const heard = [...clients, rival].map(messagesOf);
    for (const client of clients) await client.subscribeAsync('a/acme/shared/#');
    await rival.subscribeAsync('a/beta/shared/#');
    await share(['news', 'today'], 'hello');
    await share(['x'], 'other', 'beta');
    await until(() => {
      expect(heard[0]).toEqual([['a/acme/shared/news/today', 'hello']]);
      expect(heard[1]).toEqual([['a/acme/shared/news/today', 'hello']]);
      expect(heard[2]).toEqual([['a/beta/shared/x', 'other']]);
    });
  });

  it('is nothing where the account shares nothing: neither to new subscribers nor to old ones', async () => {
    const old = await broker.connected(identityOf('dev-1'));
    const heard = messagesOf(old);
    await old.subscribeAsync(['a/acme/shared/#', 'd/acme/dev-1/down/#']);
    await wants({ shared: false });
    await share(['x'], 'no');
    await bus().send('signet.mqtt.acme.dev-1.down.y', Buffer.from('yes'));
    await until(() => expect(heard).toEqual([['d/acme/dev-1/down/y', 'yes']]));
    const fresh = await broker.connected(identityOf('dev-2'));
    await expect(fresh.subscribeAsync('a/acme/shared/#')).rejects.toThrow();
    expect((await broker.event('DEVICE_REFUSED')).data).toMatchObject({ code: 'topic-not-allowed' });
  });

  it('is kept for those that subscribe later, if the account wants that, until an empty message', async () => {
    await wants({ retainShared: true });
    await share(['mode'], 'summer');
    const late = async (deviceId: string) => {
      const client = await broker.connected(identityOf(deviceId));
      const heard = messagesOf(client);
      await client.subscribeAsync('a/acme/shared/#');
      return heard;
    };
    const first = await late('dev-1');
    await until(() => expect(first).toEqual([['a/acme/shared/mode', 'summer']]));
    await share(['mode'], '');
    await until(() => expect(first).toHaveLength(2));
    const second = await late('dev-2');
    await share(['other'], 'next');
    await until(() => expect(second).toEqual([['a/acme/shared/other', 'next']]));
  });
});
