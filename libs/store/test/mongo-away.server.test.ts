import { requireServer } from '@signet/tests/servers';
import { freePort, startFerretdb } from '@signet/tests/servers/start';
import { describe, expect, it } from 'vitest';
import { openStore } from '../src/index.ts';
import { temporaryDirectory } from './temporary.ts';
import { eventOf, TestBus, things } from './things.ts';

const ferretdb = requireServer('ferretdb');
const directory = temporaryDirectory();

describe.skipIf(ferretdb === '')('MongoDB that is unavailable', () => {
  it('is waited for at start and in mid-flight; nothing that was acknowledged is lost', async () => {
    const port = await freePort();
    const bus = new TestBus();
    const warnings: string[] = [];
    await using store = await openStore({
      url: `mongodb://127.0.0.1:${port}/away?serverMonitoringMode=poll&heartbeatFrequencyMS=500`,
      publish: bus.publish,
      log: { warn: (_, message) => warnings.push(message) },
      sweepMs: 200,
    });
    expect(store.failure()).toMatch(/ECONNREFUSED/);
    const collection = await store.collection(things);
    await expect(collection.get('1')).rejects.toMatchObject({ code: 'unavailable' });
    expect(warnings).toContain('MongoDB is unavailable; trying again');

    const event = eventOf('1');
    {
      await using _ = await startFerretdb(ferretdb, { port, directory });
      await expect.poll(() => store.failure(), { timeout: 20_000 }).toBeUndefined();
      bus.hold();
      await collection.insert({ id: '1', label: 'x' }, [event]);
    }
    await expect.poll(() => store.failure(), { timeout: 20_000 }).toBeDefined();
    await expect(collection.insert({ id: '2' })).rejects.toMatchObject({ code: 'unavailable' });
    bus.release();

    await using _ = await startFerretdb(ferretdb, { port, directory });
    await expect.poll(() => store.failure(), { timeout: 20_000 }).toBeUndefined();
    expect(await collection.get('1')).toEqual({ id: '1', label: 'x' });
    await expect.poll(() => new Set(bus.ids()), { timeout: 20_000 }).toEqual(new Set([event.id]));
  });

  it('that hangs (SIGSTOP) fails who asks within moments, says so, and serves again when it goes on', async () => {
    await using server = await startFerretdb(ferretdb);
    await using store = await openStore({
      url: `${server.url}hung`,
      publish: async () => {},
      log: { warn: () => {} },
    });
    const collection = await store.collection(things);
    await collection.insert({ id: '1', label: 'x' });
    process.kill(server.pid, 'SIGSTOP');
    try {
      const begun = performance.now();
      const outcomes = await Promise.allSettled([
        collection.get('1'),
        collection.insert({ id: '2' }),
        collection.update('1', (thing) => ({ document: { ...thing, label: 'y' } })),
      ]);
      for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'unavailable' } });
      expect(performance.now() - begun).toBeLessThan(30_000);
      await expect.poll(() => store.failure(), { timeout: 20_000 }).toBeDefined();
      await expect(collection.get('1')).rejects.toMatchObject({ code: 'unavailable' });
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await expect.poll(() => store.failure(), { timeout: 20_000 }).toBeUndefined();
    await collection.insert({ id: '3' });
    expect(await collection.get('3')).toMatchObject({ id: '3' });
  }, 120_000);
});
