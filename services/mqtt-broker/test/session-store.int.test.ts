import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRedisSessions } from '../src/adapters/redis-sessions.ts';
import { openSqliteSessions } from '../src/adapters/sqlite-sessions.ts';
import { sessionStoreContract } from './session-store-contract.ts';

const url = requireServer('redis');
const log = createLogger({ service: 'test', level: 'fatal' });
const messageSeconds = 3600;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signet-sessions-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

sessionStoreContract('SQLite', {
  isThere: true,
  open: (now) => openSqliteSessions({ path: join(folder, 'sessions.db'), messageSeconds, now }),
  clear: async () => {
    for (const end of ['', '-wal', '-shm']) await rm(join(folder, `sessions.db${end}`), { force: true });
  },
});

const database = `${url}/11`;
const clear = async () => {
  const redis = new Redis(database);
  await redis.flushdb();
  redis.disconnect();
};

sessionStoreContract('Redis', {
  isThere: url !== '',
  open: async (now) => openRedisSessions({ url: database, log, messageSeconds, now }),
  clear,
});

describe.skipIf(url === '')('session store: Redis, between nodes', () => {
  it('tells who had a session before, and the later claim has it', async () => {
    const store = openRedisSessions({ url: database, log, messageSeconds, now: Date.now });
    await store.ready();
    const first = await store.open('acme/dev-1', 'one');
    const second = await store.open('acme/dev-1', 'two');
    expect(first.from).toBeUndefined();
    expect(second.from).toBe('one');
    expect(second.claim).toBeGreaterThan(first.claim);
    expect((await store.end('acme/dev-1', 'three')).from).toBe('two');
    const { record } = await store.open('acme/dev-1', 'two');
    const limits = { messages: 1, bytes: 10 };
    const message = { topic: 't', qos: 1 as const, payload: Buffer.from('x') };
    expect(await store.append('acme/dev-1', record.epoch, message, { limits })).toEqual({
      ...{ outcome: 'queued', node: 'two' },
    });
    await store[Symbol.asyncDispose]();
    await clear();
  });
});
