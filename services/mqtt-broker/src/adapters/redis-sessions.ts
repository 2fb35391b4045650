import { randomUUID } from 'node:crypto';
import type { Logger } from '@signet/service';
import type { Redis } from 'ioredis';
import {
  type Appended,
  type Claim,
  MessageHeader,
  type OpenedSession,
  SessionRecord,
  type SessionStore,
  SessionStoreError,
  type StoredMessage,
  type StoredSubscription,
  type StoredWill,
} from '../domain/session/session-store.ts';
import { LegacySessions } from './legacy-sessions.ts';
import { connectRedis } from './redis-connection.ts';
import { decodeValue, defineScripts, encodeValue, type SessionScripts } from './redis-scripts.ts';

/** How many characters of ids are remembered: those of the last messages that may come again. */
const REMEMBERED = 600;
/** Keys that Redis looks at in one turn. */
const SCANNED = 500;
const WILLS = 'session-wills';
const CLAIMS = 'session-claims';

export type RedisSessionsOptions = {
  readonly url: string;
  readonly log: Logger;
  /** How long a message waits for its device, s. */
  readonly messageSeconds: number;
  readonly now: () => number;
};

/**
 * Sessions in Redis, shared by all nodes. While Redis is unavailable operations fail within seconds, and the connection is
 * made again.
 */
export function openRedisSessions(options: RedisSessionsOptions): RedisSessionStore {
  return new RedisSessions(connectRedis(options.url, options.log), options);
}

/** The connection is shared with what else counts in Redis. */
export type RedisSessionStore = SessionStore & AsyncDisposable & { readonly redis: Redis };

class RedisSessions implements RedisSessionStore {
  readonly redis: Redis;
  readonly #scripts: SessionScripts;
  readonly #legacy: LegacySessions;
  readonly #options: RedisSessionsOptions;

  constructor(redis: Redis, options: RedisSessionsOptions) {
    this.redis = redis;
    this.#scripts = defineScripts(redis);
    this.#legacy = new LegacySessions(redis);
    this.#options = options;
  }

  async ready(): Promise<void> {
    if (this.redis.status !== 'ready')
      await new Promise<void>((resolve) => this.redis.once('ready', () => resolve()));
    await this.#try('ready', async () => {
      for (const { payload, ...header } of await this.#legacy.retained())
        await this.redis.hsetnx(
          retainedKey(accountOf(header.topic)),
          header.topic,
          encodeValue({ ...header, payload }, 0),
        );
    });
  }

  failure(): string | undefined {
    return this.redis.status === 'ready' ? undefined : `Redis is unavailable (${this.redis.status})`;
  }

  find(key: string): Promise<SessionRecord | undefined> {
    return this.#try('find', async () => {
      const record = await this.redis.hget(sessionKeys(key).session, 'record');
      return record === null ? undefined : parseRecord(record);
    });
  }

  async adopt(key: string): Promise<SessionRecord | undefined> {
    await this.#try('adopt', () => this.#adopt(key));
    return await this.find(key);
  }

  claim(key: string, node: string): Promise<Claim> {
    return this.#try('claim', () => this.#claim(key, node));
  }

  open(key: string, claim: number): Promise<OpenedSession | undefined> {
    return this.#try('open', async () => {
      const { session, unreleased, node } = sessionKeys(key);
      await this.#adopt(key);
      const fresh: SessionRecord = { epoch: randomUUID(), subscriptions: [] };
      const opened = await this.#scripts.sessionOpen(
        ...[session, node],
        ...[fresh.epoch, JSON.stringify(fresh), claim],
      );
      if (opened === null) return undefined;
      const [, record, sent, wasThere] = opened;
      return {
        record: parseRecord(record),
        isPresent: wasThere === 1,
        sentUpTo: Number(sent),
        unreleased: (await this.redis.smembers(unreleased)).map(Number),
      };
    });
  }

  end(key: string, node: string): Promise<Claim> {
    const { session, queue, messages, unreleased } = sessionKeys(key);
    const removed = [session, queue, messages, unreleased, ...this.#legacy.keys(key)];
    return this.#try('end', () => this.#claim(key, node, removed));
  }

  subscribe(key: string, epoch: string, added: readonly StoredSubscription[]): Promise<void> {
    const isAdded = (filter: string) => added.some((one) => one.filter === filter);
    return this.#change(key, epoch, (held) => [...held.filter(({ filter }) => !isAdded(filter)), ...added]);
  }

  unsubscribe(key: string, epoch: string, filters: readonly string[]): Promise<void> {
    return this.#change(key, epoch, (held) => held.filter(({ filter }) => !filters.includes(filter)));
  }

  append(
    key: string,
    epoch: string,
    message: StoredMessage,
    { limits, id, isSent = false }: Parameters<SessionStore['append']>[3],
  ): Promise<Appended> {
    return this.#try('append', async () => {
      const { session, queue, messages, node } = sessionKeys(key);
      const [outcome, holder] = await this.#scripts.sessionAppend(
        ...[session, queue, messages, node],
        ...[epoch, id === undefined ? '' : `${id};`, limits.messages, limits.bytes],
        ...[this.#options.now(), this.#options.messageSeconds, isSent ? 1 : 0, REMEMBERED],
        this.#encode(message),
      );
      if (outcome === 'full' || outcome === 'gone') return { outcome };
      return { outcome: outcome === 'queued' ? 'queued' : 'repeated', node: holder ?? undefined };
    });
  }

  take(key: string, epoch: string, after: number, limit: number) {
    return this.#try('take', async () => {
      const { session, queue, messages } = sessionKeys(key);
      const now = this.#options.now();
      const [upTo, ...found] = await this.#scripts.sessionTakeBuffer(
        ...[session, queue, messages, epoch, after, limit, now],
      );
      const taken = [];
      for (let i = 0; i + 1 < found.length; i += 2) {
        const { expires, ...message } = decodeValue(found[i + 1] ?? Buffer.alloc(0));
        if (expires > now) taken.push({ ...message, seq: Number(found[i]) });
      }
      return { messages: taken, upTo: Number(upTo) };
    });
  }

  remove(key: string, seqs: readonly number[]): Promise<void> {
    return this.#try('remove', async () => {
      const { session, queue, messages } = sessionKeys(key);
      await this.#scripts.sessionRemove(session, queue, messages, ...seqs);
    });
  }

  leave(key: string, epoch: string, left: Parameters<SessionStore['leave']>[2]) {
    return this.#try('leave', async () => {
      const { session, queue, messages, node } = sessionKeys(key);
      const holder = await this.#scripts.sessionLeave(
        ...[session, queue, messages, node],
        ...[epoch, left.next, left.sentUpTo, this.#options.messageSeconds],
        ...left.messages.flatMap((message) => [message.seq, this.#encode(message)]),
      );
      return { node: holder ?? undefined };
    });
  }

  waiting(key: string) {
    return this.#try('waiting', async () => {
      const { session, queue } = sessionKeys(key);
      const messages = await this.redis.zcard(queue);
      return { messages, bytes: messages === 0 ? 0 : Number(await this.redis.hget(session, 'bytes')) };
    });
  }

  receive(key: string, epoch: string, packetId: number): Promise<void> {
    return this.#try('receive', async () => {
      const { session, unreleased } = sessionKeys(key);
      await this.#scripts.sessionReceive(session, unreleased, epoch, packetId);
    });
  }

  release(key: string, packetId: number): Promise<void> {
    return this.#try(
      'release',
      async () => void (await this.redis.srem(sessionKeys(key).unreleased, packetId)),
    );
  }

  putWill({ key, session, node, payload, ...header }: StoredWill): Promise<void> {
    const will = JSON.stringify({ ...header, key, node, payload: payload.toString('base64') });
    return this.#try('putWill', async () => void (await this.redis.hset(WILLS, key, `${session} ${will}`)));
  }

  dropWill(key: string, session: string): Promise<void> {
    return this.#try('dropWill', async () => {
      await this.#scripts.willDrop(WILLS, key, `${session} `);
      if (session.startsWith(LEGACY)) await this.#legacy.dropWill(key, session.slice(LEGACY.length));
    });
  }

  wills(): Promise<readonly StoredWill[]> {
    return this.#try('wills', async () => {
      const own = Object.values(await this.redis.hgetall(WILLS)).map(parseWill);
      const legacy = (await this.#legacy.wills()).map(({ brokerId, ...will }) => ({
        ...{ ...will, session: `${LEGACY}${brokerId}`, node: brokerId },
      }));
      return [...own, ...legacy];
    });
  }

  retain(account: string, message: StoredMessage): Promise<void> {
    return this.#try('retain', async () => {
      const { topic, payload } = message;
      const name = retainedKey(account);
      if (payload.length === 0) await this.redis.hdel(name, topic);
      else await this.redis.hset(name, topic, encodeValue(message, 0));
      await this.#legacy.dropRetained(topic);
    });
  }

  retained(account: string): Promise<readonly StoredMessage[]> {
    return this.#try('retained', async () => {
      const found = await this.redis.hgetallBuffer(retainedKey(account));
      return Object.values(found).map((value) => {
        const { expires: _, ...message } = decodeValue(value);
        return message;
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.redis.disconnect();
  }

  erase(account: string, node: string): Promise<number> {
    return this.#try('erase', async () => {
      // SCAN knows nothing of the connection's prefix
      const pattern = `${this.redis.options.keyPrefix ?? ''}${sessionKeys(`${account}/`).session}`;
      const name = pattern.slice(0, -encodeURIComponent(`${account}/`).length);
      let erased = 0;
      let cursor = '0';
      do {
        const [next, found] = await this.redis.scan(cursor, 'MATCH', `${pattern}*`, 'COUNT', SCANNED);
        for (const key of found) await this.end(decodeURIComponent(key.slice(name.length)), node);
        erased += found.length;
        cursor = next;
      } while (cursor !== '0');
      for (const { key } of await this.wills())
        if (key.startsWith(`${account}/`)) await this.redis.hdel(WILLS, key);
      await this.redis.del(retainedKey(account));
      return erased;
    });
  }

  #encode(message: StoredMessage): Buffer {
    return encodeValue(message, this.#options.now() + this.#options.messageSeconds * 1000);
  }

  async #claim(key: string, node: string, removed: readonly string[] = []): Promise<Claim> {
    const keys = [sessionKeys(key).node, CLAIMS, ...removed];
    const [claim, from] = await this.#scripts.sessionClaim(keys.length, ...keys, node);
    return { claim: Number(claim), from: from === null || from === node ? undefined : from };
  }

  /** Takes over what a node of version 0.1 stored: at once, so that nothing is there twice or not at all. */
  async #adopt(key: string): Promise<void> {
    for (;;) {
      const legacy = await this.#legacy.read(key);
      if (legacy === undefined) return;
      const { session, queue, messages, unreleased } = sessionKeys(key);
      const known = (await this.redis.hget(session, 'record')) ?? '';
      const fresh: SessionRecord = { epoch: randomUUID(), subscriptions: [...legacy.subscriptions] };
      const merged = known === '' ? fresh : withSubscriptions(parseRecord(known), legacy.subscriptions);
      const values = legacy.messages.map((message) => this.#encode(message));
      const isDone = await this.#scripts.sessionAdopt(
        ...[...this.#legacy.keys(key), session, queue, messages, unreleased],
        ...[legacy.length, fresh.epoch, JSON.stringify(fresh), JSON.stringify(merged), known],
        ...[this.#options.messageSeconds, legacy.sent, values.length],
        ...[...values, ...legacy.unreleased],
      );
      if (isDone === 1) {
        await this.#legacy.forget(key);
        return;
      }
    }
  }

  #change(
    key: string,
    epoch: string,
    change: (held: readonly StoredSubscription[]) => readonly StoredSubscription[],
  ): Promise<void> {
    return this.#try('subscriptions', async () => {
      const { session } = sessionKeys(key);
      for (;;) {
        const before = await this.redis.hget(session, 'record');
        if (before === null) return;
        const record = parseRecord(before);
        const after = JSON.stringify({ ...record, subscriptions: change(record.subscriptions) });
        if ((await this.#scripts.sessionChange(session, epoch, before, after)) === 1) return;
      }
    });
  }

  async #try<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      throw new SessionStoreError(`sessions: ${what} failed`, { cause });
    }
  }
}

/** Marks the `session` of a will that a node of version 0.1 left. */
const LEGACY = 'legacy:';

function sessionKeys(key: string) {
  const name = encodeURIComponent(key);
  return {
    session: `session:${name}`,
    queue: `session-queue:${name}`,
    messages: `session-messages:${name}`,
    unreleased: `session-unreleased:${name}`,
    node: `session-node:${name}`,
  };
}

function retainedKey(account: string): string {
  return `session-retained:${account}`;
}

function accountOf(topic: string): string {
  return topic.split('/')[1] ?? '';
}

function parseRecord(text: string): SessionRecord {
  return SessionRecord.parse(JSON.parse(text));
}

function withSubscriptions(record: SessionRecord, added: readonly StoredSubscription[]): SessionRecord {
  const isAdded = (filter: string) => added.some((one) => one.filter === filter);
  return {
    ...record,
    subscriptions: [...record.subscriptions.filter(({ filter }) => !isAdded(filter)), ...added],
  };
}

function parseWill(text: string): StoredWill {
  const space = text.indexOf(' ');
  const { key, node, payload, ...header } = JSON.parse(text.slice(space + 1)) as {
    key: string;
    node: string;
    payload: string;
  };
  return {
    ...MessageHeader.parse(header),
    payload: Buffer.from(payload, 'base64'),
    ...{ key, node, session: text.slice(0, space) },
  };
}
