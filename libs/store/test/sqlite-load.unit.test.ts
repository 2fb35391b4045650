import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openDatabase } from '@signet/sqlite';
import { openSlowDatabase } from '@signet/sqlite/testing';
import { describe, expect, it } from 'vitest';
import type { Page } from '../src/index.ts';
import { openSqliteStore } from '../src/sqlite/index.ts';
import { temporaryDirectory } from './temporary.ts';
import { eventOf, plainThings, type Thing } from './things.ts';

const directory = temporaryDirectory();

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapInUse(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

describe('SQLite under load', () => {
  it('takes 150 enrolments a second with two commits each while each fsync takes 5 ms longer', async () => {
    const database = openSlowDatabase(join(directory, 'load.db'), { commitMs: 5 });
    await using store = await openSqliteStore({ database, ownsDatabase: true, eventLog: true });
    const collection = await store.collection(plainThings);
    let commits = 0;
    database.onCommit(() => {
      commits += 1;
    });
    const enrol = async (i: number) => {
      await collection.insert({ id: `${i}`, account: 'acme', size: i });
      const events = [eventOf(`d${i}`)];
      await collection.update(`${i}`, (thing) => ({ document: { ...thing, label: `cert-${i}` }, events }));
    };

    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const started = performance.now();
    const enrolments: Promise<void>[] = [];
    const done = Promise.withResolvers<void>();
    const timer = setInterval(() => {
      const due = Math.min(450, Math.floor((performance.now() - started) * 0.15));
      while (enrolments.length < due) enrolments.push(enrol(enrolments.length));
      if (due === 450) done.resolve();
    }, 5);
    await done.promise;
    clearInterval(timer);
    await Promise.all(enrolments);
    delay.disable();
    const seconds = (performance.now() - started) / 1000;
    console.info(
      `450 enrolments in ${seconds.toFixed(1)} s, ${commits} group commits; event loop delay ` +
        `p50 ${(delay.percentile(50) / 1e6).toFixed(1)} ms, p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms ` +
        '(of which 1 ms is the resolution)',
    );

    expect(await collection.count()).toBe(450);
    expect(await collection.count({ index: 'label', prefix: 'cert-' })).toBe(450);
    expect(database.read('SELECT count(*) AS n FROM event_log')).toEqual([{ n: 450 }]);
  });

  it('turns the pages of 100,000 documents without holding them', { timeout: 120_000 }, async () => {
    const database = openDatabase(join(directory, 'pages.db'));
    await using store = await openSqliteStore({ database, ownsDatabase: true, eventLog: true });
    const collection = await store.collection(plainThings);
    const padding = 'x'.repeat(800);
    for (let from = 0; from < 100_000; from += 5000) {
      await Promise.all(
        Array.from({ length: 5000 }, (_, i) =>
          collection.insert({ id: `${from + i}`, account: 'acme', size: from + i, config: { padding } }),
        ),
      );
    }
    expect(await collection.count()).toBe(100_000);

    const before = heapInUse();
    let most = 0;
    let expected = 0;
    let cursor: string | undefined;
    do {
      const page: Page<Thing> = await collection.find({
        index: 'size',
        equals: { account: 'acme' },
        limit: 1000,
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const thing of page.items) {
        if (thing.size !== expected) throw new Error(`${thing.size} where ${expected} was to come`);
        expected += 1;
      }
      cursor = page.next;
      if (expected % 10_000 === 0) most = Math.max(most, heapInUse() - before);
    } while (cursor !== undefined);
    console.info(`heap in use while paging over 100 MB: at most ${(most / 2 ** 20).toFixed(1)} MiB more`);
    expect(expected).toBe(100_000);
    expect(most).toBeLessThan(24 * 2 ** 20);
  });
});
