import type { Logger } from '@signet/service';
import memoryPersistence from 'aedes-persistence';
import redisPersistence from 'aedes-persistence-redis';
import { Redis } from 'ioredis';
import type { Persistence, SessionStore, Waiting } from '../domain/session-store.ts';

// its types declare the module's one function as a default export of CommonJS
const openMemory = memoryPersistence as unknown as () => Persistence;

/** The store of this process; with the connection that it shares, if there is one. */
export type OpenSessionStore = SessionStore & AsyncDisposable & { readonly redis: Redis | undefined };

/** What the session store failed with. Its `code` tells it from what a client broke. */
export class SessionStoreError extends Error {
  override readonly name = 'SessionStoreError';
  readonly code = 'unavailable';
}

/** Sessions in the memory of this process: one node, and gone with it. */
export function memorySessions(): OpenSessionStore {
  const persistence = openMemory();
  return {
    persistence,
    redis: undefined,
    ready: async () => {},
    failure: () => undefined,
    queued: async (key) => (await waitingIn(persistence, key)).messages,
    waiting: (key) => waitingIn(persistence, key),
    [Symbol.asyncDispose]: async () => {},
  };
}

/**
 * Sessions in Redis, shared by all nodes. While Redis is away operations fail within seconds, and the connection is
 * made again.
 */
export function redisSessions(options: {
  readonly url: string;
  readonly log: Logger;
  /** How long a message waits for its device, s. */
  readonly messageSeconds: number;
}): OpenSessionStore {
  const { url, log, messageSeconds } = options;
  const redis = new QuietRedis(url, {
    keyPrefix: 'signet:',
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    commandTimeout: 5000,
    connectTimeout: 5000,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 2000),
  });
  let isTold = false;
  redis.on('error', (error) => {
    if (!isTold) log.error({ err: error }, 'Redis is away; trying again');
    isTold = true;
  });
  redis.on('ready', () => {
    if (isTold) log.info('Redis is back');
    isTold = false;
  });
  redis.connect().catch(() => {});
  const persistence = failingClearly(
    redisPersistence({ conn: redis, packetTTL: () => messageSeconds }) as Persistence,
  );
  return {
    persistence,
    redis,
    async ready() {
      if (redis.status === 'ready') return;
      await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
    },
    failure: () => (redis.status === 'ready' ? undefined : `Redis is away (${redis.status})`),
    queued: (key) => redis.llen(`outgoing:${encodeURIComponent(key)}`),
    waiting: (key) => waitingIn(persistence, key),
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}

async function waitingIn(persistence: Persistence, key: string): Promise<Waiting> {
  let messages = 0;
  let bytes = 0;
  for await (const { payload } of persistence.outgoingStream({ id: key })) {
    messages++;
    bytes += Buffer.byteLength(payload);
  }
  return { messages, bytes };
}

/** The persistence starts commands whose outcome it does not await: their failure must not end the process. */
class QuietRedis extends Redis {
  override sendCommand(...command: Parameters<Redis['sendCommand']>): unknown {
    const outcome = super.sendCommand(...command);
    if (outcome instanceof Promise) outcome.catch(() => {});
    return outcome;
  }
}

/** Makes errors of Redis known as such, whatever they are. */
function failingClearly<P extends object>(persistence: P): P {
  const methods = ['addSubscriptions', 'removeSubscriptions', 'subscriptionsByClient', 'cleanSubscriptions'];
  const more = ['outgoingEnqueue', 'outgoingEnqueueCombi', 'outgoingUpdate', 'outgoingClearMessageId'];
  const rest = ['incomingStorePacket', 'incomingDelPacket', 'cleanIncoming', 'putWill', 'delWill'];
  const wrapped: Record<string, unknown> = {};
  for (const name of [...methods, ...more, ...rest]) {
    const method = (persistence as Record<string, (...args: unknown[]) => Promise<unknown>>)[name];
    wrapped[name] = async (...args: unknown[]) => {
      try {
        return await method?.apply(persistence, args);
      } catch (cause) {
        throw new SessionStoreError(`sessions: ${name} failed`, { cause });
      }
    };
  }
  return Object.assign(Object.create(persistence), wrapped);
}
