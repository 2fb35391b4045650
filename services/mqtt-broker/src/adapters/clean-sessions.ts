import { repeatedly } from '@signet/async';
import type { Logger } from '@signet/service';
import type { Redis } from 'ioredis';
import type { CleanSessions } from '../domain/session/session-store.ts';

/** A node that is silent for so long is dead, seconds. */
const NODE_SECONDS = 15;
const ALIVE_EVERY_MS = 5000;
/** An entry outlives its node's death; a node that lives writes its entries again well before. */
const ENTRY_SECONDS = 3600;
const REWRITE_EVERY_MS = 1_200_000;
const BATCH = 1000;

/** Only the node that an entry names removes it: the device may be on another by now. */
const FORGET = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`;

const entry = (key: string) => `clean:${encodeURIComponent(key)}`;
const alive = (node: string) => `clean-node:${node}`;

/** Where clean sessions are, told among nodes by Redis. */
export function cleanSessions(options: {
  readonly redis: Redis;
  /** Unique for each start. */
  readonly node: string;
  readonly log: Logger;
}): CleanSessions & AsyncDisposable {
  const { redis, node, log } = options;
  const held = new Set<string>();
  const warn = (err: unknown) => log.warn({ err }, 'mqtt: failed to record clean sessions for other nodes');
  const write = async () => {
    const keys = [...held];
    for (let from = 0; from < keys.length; from += BATCH) {
      const pipeline = redis.pipeline();
      for (const key of keys.slice(from, from + BATCH)) pipeline.set(entry(key), node, 'EX', ENTRY_SECONDS);
      await pipeline.exec();
    }
  };
  // Redis may come back without what it was told
  const again = () => void write().catch(warn);
  redis.on('ready', again);
  const living = repeatedly(async () => void (await redis.set(alive(node), '1', 'EX', NODE_SECONDS)), {
    everyMs: ALIVE_EVERY_MS,
    onError: () => {},
  });
  const writing = repeatedly(write, { everyMs: REWRITE_EVERY_MS, onError: warn });
  return {
    async opened(key) {
      held.add(key);
      await redis.set(entry(key), node, 'EX', ENTRY_SECONDS).catch(warn);
    },
    closed(key) {
      if (held.delete(key)) redis.eval(FORGET, 1, entry(key), node).catch(warn);
    },
    async isElsewhere(key) {
      const at = await redis.get(entry(key));
      return at !== null && at !== node && (await redis.exists(alive(at))) === 1;
    },
    async [Symbol.asyncDispose]() {
      redis.off('ready', again);
      await living[Symbol.asyncDispose]();
      await writing[Symbol.asyncDispose]();
      await redis.del(alive(node)).catch(() => {});
    },
  };
}
