import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createLogger } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openRedisSessions } from '../src/adapters/redis-sessions.ts';
import { openSqliteSessions } from '../src/adapters/sqlite-sessions.ts';
import { connect, sessionStoreContract } from './session-store-contract.ts';

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

describe('session store: SQLite', () => {
  it('forgets what waited in vain for a device that never came back', async () => {
    const path = join(folder, 'swept.db');
    let now = Date.now();
    const open = () => openSqliteSessions({ path, messageSeconds, now: () => now });
    const first = await open();
    const { record } = await connect(first, 'acme/gone', 'one');
    const limits = { messages: 1000, bytes: 1_000_000 };
    for (let n = 0; n < 600; n++) {
      const message = { topic: 't', qos: 1 as const, payload: Buffer.from(`${n}`) };
      await first.append('acme/gone', record.epoch, message, { limits });
    }
    await first[Symbol.asyncDispose]();

    now += messageSeconds * 1000 + 1;
    const again = await open();
    const file = new DatabaseSync(path, { readOnly: true });
    const left = () => file.prepare('SELECT count(*) AS n FROM mqtt_queue').get()?.n;
    await vi.waitFor(() => expect(left()).toBe(0), 10_000);
    expect(file.prepare('SELECT messages, bytes FROM mqtt_session').all()).toEqual([
      { messages: 0, bytes: 0 },
    ]);
    file.close();
    await again[Symbol.asyncDispose]();
  });
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
    const first = await connect(store, 'acme/dev-1', 'one');
    const second = await connect(store, 'acme/dev-1', 'two');
    expect(first.from).toBeUndefined();
    expect(second.from).toBe('one');
    expect(second.claim).toBeGreaterThan(first.claim);
    expect((await store.end('acme/dev-1', 'three')).from).toBe('two');
    const { record } = await connect(store, 'acme/dev-1', 'two');
    const limits = { messages: 1, bytes: 10 };
    const message = { topic: 't', qos: 1 as const, payload: Buffer.from('x') };
    expect(await store.append('acme/dev-1', record.epoch, message, { limits })).toEqual({
      ...{ outcome: 'queued', node: 'two' },
    });
    await store[Symbol.asyncDispose]();
    await clear();
  });

  it('a connection whose claim is no longer the latest begins no session', async () => {
    const store = openRedisSessions({ url: database, log, messageSeconds, now: Date.now });
    await store.ready();
    const first = await store.claim('acme/dev-1', 'one');
    const second = await store.end('acme/dev-1', 'two');
    expect(second.from).toBe('one');
    expect(await store.open('acme/dev-1', first.claim)).toBeUndefined();
    expect(await store.find('acme/dev-1')).toBeUndefined();
    await store[Symbol.asyncDispose]();
    await clear();
  });

  it('claims go on rising after Redis has lost what it was told', async () => {
    const store = openRedisSessions({ url: database, log, messageSeconds, now: Date.now });
    await store.ready();
    const { claim } = await store.claim('acme/dev-1', 'one');
    await clear();
    expect((await store.claim('acme/dev-1', 'two')).claim).toBeGreaterThan(claim - 1);
    await store[Symbol.asyncDispose]();
    await clear();
  });
});
