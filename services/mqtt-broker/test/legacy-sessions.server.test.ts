import { createLogger } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { Aedes, type AedesOptions } from 'aedes';
import redisPersistence from 'aedes-persistence-redis';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRedisSessions } from '../src/adapters/redis-sessions.ts';
import { connect } from './session-store-contract.ts';

const url = requireServer('redis');
const database = `${url}/13`;
const KEY = 'acme/dev-1';
const TOPIC = 'd/acme/dev-1/down/x';

/** What the broker of version 0.1 kept its sessions in. */
type Legacy = {
  addSubscriptions(client: object, subscriptions: object[]): Promise<unknown>;
  outgoingEnqueueCombi(subscriptions: object[], packet: object): Promise<unknown>;
  outgoingUpdate(client: object, packet: object): Promise<unknown>;
  incomingStorePacket(client: object, packet: object): Promise<unknown>;
  putWill(client: object, packet: object): Promise<unknown>;
  storeRetained(packet: object): Promise<unknown>;
};

let redis: Redis;
beforeEach(async () => {
  if (url === '') return;
  redis = new Redis(database, { keyPrefix: 'signet:' });
  await redis.flushdb();
});
afterEach(() => redis?.disconnect());

describe.skipIf(url === '')('sessions that version 0.1 left in Redis', () => {
  it('are there after the upgrade: subscriptions, messages in order, open QoS 2 messages, wills, retained ones', async () => {
    const legacy = redisPersistence({ conn: redis, packetTTL: () => 3600 }) as unknown as Legacy;
    const broker = await Aedes.createBroker({ persistence: legacy } as unknown as AedesOptions);
    const client = { id: KEY };
    await legacy.addSubscriptions(client, [
      { topic: 'd/acme/dev-1/down/#', qos: 1 },
      { topic: 'd/acme/dev-2/down/#', qos: 1 },
    ]);
    for (const n of [1, 2, 3]) {
      const packet = {
        cmd: 'publish',
        brokerId: 'old',
        brokerCounter: n,
        topic: TOPIC,
        qos: 1,
        payload: `${n}`,
      };
      await legacy.outgoingEnqueueCombi([{ clientId: KEY, topic: TOPIC, qos: 1 }], packet);
      if (n === 1) await legacy.outgoingUpdate(client, { ...packet, messageId: 77 });
    }
    await legacy.incomingStorePacket(client, {
      cmd: 'publish',
      messageId: 9,
      topic: 'x',
      payload: 'x',
      qos: 2,
    });
    const will = { topic: 'd/acme/dev-1/up/gone', payload: Buffer.from('bye'), qos: 1, retain: false };
    await legacy.putWill(client, will);
    await legacy.storeRetained({
      cmd: 'publish',
      topic: 'a/acme/shared/x',
      payload: Buffer.from('on'),
      qos: 0,
      retain: true,
    });
    await new Promise<void>((resolve) => broker.close(() => resolve()));

    await using store = openRedisSessions({
      ...{ url: database, messageSeconds: 3600, now: Date.now },
      log: createLogger({ service: 'test', level: 'fatal' }),
    });
    await store.ready();
    const opened = await connect(store, KEY, 'new');
    expect(opened).toMatchObject({ isPresent: true, unreleased: [9] });
    expect(opened.record.subscriptions).toEqual([{ filter: 'd/acme/dev-1/down/#', qos: 1 }]);
    const { messages } = await store.take(KEY, opened.record.epoch, 0, 100);
    expect(messages.map(({ payload }) => payload.toString())).toEqual(['1', '2', '3']);
    expect(messages.map(({ seq }) => seq <= opened.sentUpTo)).toEqual([true, false, false]);
    expect(messages[0]?.packetId).toBe(77);
    expect((await store.wills()).map(({ key, topic }) => [key, topic])).toEqual([[KEY, will.topic]]);
    for (const { key, session } of await store.wills()) await store.dropWill(key, session);
    expect(await store.wills()).toEqual([]);
    expect((await store.retained('acme')).map(({ payload }) => payload.toString())).toEqual(['on']);
    // once taken over it is not taken over again
    expect(await redis.exists(`client:${encodeURIComponent(KEY)}`)).toBe(0);
    expect((await connect(store, KEY, 'new')).record.epoch).toBe(opened.record.epoch);
  });
});
