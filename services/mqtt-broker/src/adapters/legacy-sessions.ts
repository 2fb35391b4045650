import redisPersistence from 'aedes-persistence-redis';
import type { Redis } from 'ioredis';
import type { StoredMessage, StoredSubscription } from '../domain/session/session-store.ts';
import { mayHold } from '../domain/topic/topic-rules.ts';

type Packet = {
  readonly cmd: string;
  readonly topic: string;
  readonly payload: Buffer | string;
  readonly qos: number;
  readonly retain?: boolean;
  /** Null or absent where it was not sent. */
  readonly messageId?: number | null;
};
type LegacyWill = Packet & { readonly clientId: string; readonly brokerId: string };
type Persistence = {
  subscriptionsByClient(client: { id: string }): Promise<readonly { topic: string; qos: number }[]>;
  outgoingStream(client: { id: string }): AsyncIterable<Packet>;
  streamWill(): AsyncIterable<LegacyWill>;
  delWill(client: { id: string; brokerId: string }): Promise<unknown>;
  createRetainedStream(pattern: string): AsyncIterable<Packet>;
};

/** What nodes up to version 0.1 stored of one session in Redis. */
export type LegacySession = {
  readonly subscriptions: readonly StoredSubscription[];
  /** Those that were sent come first. */
  readonly messages: readonly StoredMessage[];
  readonly sent: number;
  readonly unreleased: readonly number[];
  /** How long the queue was. */
  readonly length: number;
};

/** Reads the keys of nodes up to version 0.1, in which aedes-persistence-redis kept sessions. */
export class LegacySessions {
  readonly #redis: Redis;
  readonly #persistence: Persistence;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#persistence = redisPersistence({ conn: redis }) as Persistence;
  }

  /** Its subscriptions, its queue, its QoS 2 messages. */
  keys(key: string): [string, string, string] {
    const name = encodeURIComponent(key);
    return [`client:${name}`, `outgoing:${name}`, `incoming:${name}`];
  }

  async read(key: string): Promise<LegacySession | undefined> {
    const [client, outgoing, incoming] = this.keys(key);
    if ((await this.#redis.exists(client, outgoing, incoming)) === 0) return undefined;
    const length = await this.#redis.llen(outgoing);
    const packets: Packet[] = [];
    for await (const packet of this.#persistence.outgoingStream({ id: key }))
      if (packet.cmd === 'publish') packets.push(packet);
    // what has a packet identifier was sent; it was queued before what has none
    const sent = packets.findLastIndex(({ messageId }) => typeof messageId === 'number') + 1;
    const held = await this.#persistence.subscriptionsByClient({ id: key });
    return {
      subscriptions: held
        .filter(({ topic }) => mayHold(key, topic))
        .map(({ topic, qos }) => ({ filter: topic, qos: qos === 0 ? 0 : qos === 1 ? 1 : 2 })),
      messages: packets.map(messageOf),
      sent,
      unreleased: (await this.#redis.hkeys(incoming)).map(Number),
      length,
    };
  }

  /** What else was stored for it: once it has been taken over. */
  async forget(key: string): Promise<void> {
    await this.#redis.srem('clients', key);
  }

  async wills(): Promise<readonly (StoredMessage & { key: string; brokerId: string })[]> {
    const wills = [];
    for await (const will of this.#persistence.streamWill())
      wills.push({ ...messageOf(will), key: will.clientId, brokerId: will.brokerId });
    return wills;
  }

  async dropWill(key: string, brokerId: string): Promise<void> {
    await this.#persistence.delWill({ id: key, brokerId });
  }

  async retained(): Promise<readonly StoredMessage[]> {
    const retained = [];
    for await (const packet of this.#persistence.createRetainedStream('#')) retained.push(messageOf(packet));
    return retained;
  }

  async dropRetained(topic: string): Promise<void> {
    await this.#redis.hdel('retained', topic);
  }
}

function messageOf({ topic, payload, qos, retain, messageId }: Packet): StoredMessage {
  return {
    ...{ topic, qos: qos === 0 ? 0 : qos === 1 ? 1 : 2, payload: Buffer.from(payload) },
    ...(retain === true ? { retain } : {}),
    ...(typeof messageId === 'number' ? { packetId: messageId } : {}),
  };
}
