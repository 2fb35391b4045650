import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DenyTarget } from '@signet/contracts';
import { DenyTable, denyKey } from '@signet/denylist';
import { type Collection, openStore, StoreError } from '@signet/store';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changeRecords, entryRecords, progressRecords } from '../../collections.ts';
import type { Intent } from '../denial/deny-state.ts';
import { Ledger } from './ledger.ts';
import { loadEntries, noteProgress, purgeEntries, trimChanges } from './projection.ts';
import { type ChangeRecord, changeId, type LedgerCollections } from './records.ts';

const DAY = 86_400_000;
let stack: AsyncDisposableStack;
let time: number;
const now = () => time;

beforeEach(() => {
  stack = new AsyncDisposableStack();
  time = Date.parse('2027-01-01T00:00:00Z');
});
afterEach(() => stack.disposeAsync());

async function openCollections(): Promise<LedgerCollections> {
  const folder = await mkdtemp(join(tmpdir(), 'ledger-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const url = `sqlite:${join(folder, 'signet.db')}`;
  const store = stack.use(await openStore({ url, publish: async () => undefined }));
  return {
    changes: await store.collection(changeRecords),
    entries: await store.collection(entryRecords),
    progress: await store.collection(progressRecords),
  };
}

const open = (collections: LedgerCollections) => Ledger.open(collections, { now, onNumber: () => undefined });
const target = (n: number): DenyTarget => ({ kind: 'device', account: 'acme', deviceId: `dev-${n}` });
const deny = (n: number, expiresAt = 0, cause = 'x'): Intent => ({
  ...{ do: 'deny', target: target(n) },
  hold: { cause, source: 's', account: 'acme', reason: 'r', since: new Date(time).toISOString(), expiresAt },
});
const lift = (n: number, cause = 'x'): Intent => ({ do: 'lift', target: target(n), cause });
const records = (table: DenyTable) => Buffer.from(table.packed()).toString('hex');

/** The same collection, but `insert` fails once with what `failing` makes of the next call. */
function failingInsert<T extends { readonly id: string }>(
  collection: Collection<T, never>,
  fail: (insert: () => Promise<void>) => Promise<void>,
): Collection<T, never> {
  let failed = false;
  return {
    get: (id) => collection.get(id),
    update: (id, change, options) => collection.update(id, change, options),
    remove: (id, condition) => collection.remove(id, condition),
    find: (query) => collection.find(query),
    count: (query) => collection.count(query),
    insert: async (document, events) => {
      const insert = () => collection.insert(document, events);
      if (failed) return insert();
      failed = true;
      return fail(insert);
    },
  };
}

describe('the ledger of the deny list', () => {
  it('comes to one list, whichever replica is asked: log, tables and entries agree', async () => {
    const step = fc.record({
      by: fc.constantFrom(0, 1),
      intent: fc.oneof(
        fc
          .record({ n: fc.integer({ min: 0, max: 5 }), cause: fc.constantFrom('x', 'y') })
          .map(({ n, cause }) => deny(n, 0, cause)),
        fc
          .record({ n: fc.integer({ min: 0, max: 5 }), cause: fc.constantFrom('x', 'y') })
          .map(({ n, cause }) => lift(n, cause)),
      ),
      awaited: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const collections = await openCollections();
        const ledgers = [await open(collections), await open(collections)];
        const pending: Promise<number>[] = [];
        for (const { by, intent, awaited } of steps) {
          const appended = ledgers[by]?.append([intent]) ?? Promise.resolve(0);
          pending.push(appended);
          if (awaited) await appended;
        }
        await Promise.all(pending);
        for (const ledger of ledgers) await ledger.catchUp();
        const { items } = await collections.changes.find({ limit: 1000 });
        expect(items.map(({ number }) => number)).toEqual(items.map((_, index) => index + 1));
        const replayed = new DenyTable();
        for (const { add, lift } of items) {
          for (const key of lift) replayed.lift(key);
          for (const { key, expiresAt } of add) replayed.add(key, expiresAt);
        }
        const loaded = await loadEntries(collections, now);
        for (const table of [...ledgers.map((ledger) => ledger.table), loaded.table])
          expect(records(table)).toBe(records(replayed));
      }),
      { numRuns: 10 },
    );
  });

  it('does not take a denial for made that another replica has just lifted', async () => {
    const collections = await openCollections();
    const [a, b] = [await open(collections), await open(collections)];
    await a.append([deny(1)]);
    await b.catchUp();
    await a.append([lift(1)]);
    expect(await b.append([deny(1)])).toBe(3);
    expect(b.table.has(denyKey(target(1)), 0)).toBe(true);
  });

  it('knows its own change where the answer to its insert was lost', async () => {
    const collections = await openCollections();
    const changes = failingInsert<ChangeRecord>(collections.changes, async (insert) => {
      await insert();
      throw new StoreError('unavailable', 'connection lost');
    });
    const ledger = await open({ ...collections, changes });
    await expect(ledger.append([deny(1)])).rejects.toMatchObject({ code: 'unavailable' });
    expect(await ledger.append([deny(1)])).toBe(1);
    expect(await ledger.append([deny(2)])).toBe(2);
    expect(ledger.table.size).toBe(2);
  });

  it('puts what comes at the same time into few changes, of at most 1000 targets each', async () => {
    const ledger = await open(await openCollections());
    const group = (from: number) => Array.from({ length: 400 }, (_, n) => deny(from + n));
    const numbers = await Promise.all([0, 400, 800, 1200, 1600].map((from) => ledger.append(group(from))));
    expect(numbers).toEqual([1, 1, 2, 2, 3]);
    expect(ledger.table.size).toBe(2000);
  });

  it('starts from the entries, and reads only the changes after them', async () => {
    const collections = await openCollections();
    const first = await open(collections);
    await first.append([deny(1), deny(2)]);
    await first.whileQuiet((number) => noteProgress(collections.progress, number));
    await first.append([lift(1)]);
    await collections.changes.remove(changeId(1));
    const second = await open(collections);
    expect(second.number).toBe(2);
    expect(records(second.table)).toBe(records(first.table));
  });

  it('purges entries a day after they expired or were lifted, and denies them anew', async () => {
    const collections = await openCollections();
    const ledger = await open(collections);
    const seconds = () => Math.floor(time / 1000);
    await ledger.append([deny(1, seconds() + 60), deny(2), deny(3), lift(3)]);
    await ledger.append([lift(2)]);
    await ledger.append([deny(4)]);
    await ledger.catchUp();
    time += DAY;
    expect(await purgeEntries(collections.entries, seconds() + 1)).toBe(1);
    time += 61_000;
    expect(await purgeEntries(collections.entries, seconds())).toBe(1);
    expect(await collections.entries.count()).toBe(1);
    await ledger.append([deny(1)]);
    expect(ledger.table.has(denyKey(target(1)), seconds())).toBe(true);
  });

  it('keeps the entry of what another replica denies anew while old entries are purged', async () => {
    const collections = await openCollections();
    const [ledger, other] = [await open(collections), await open(collections)];
    await ledger.append([deny(1)]);
    await ledger.append([lift(1)]);
    await ledger.catchUp();
    time += 2 * DAY;
    const purged = {
      ...failingInsert(collections.entries, (insert) => insert()),
      async find(query: Parameters<typeof collections.entries.find>[0]) {
        const page = await collections.entries.find(query);
        if (page.items.length > 0) {
          await other.append([deny(1)]);
          await other.catchUp();
        }
        return page;
      },
    } as typeof collections.entries;
    expect(await purgeEntries(purged, Math.floor(time / 1000))).toBe(0);
    expect((await open(collections)).table.has(denyKey(target(1)), Math.floor(time / 1000))).toBe(true);
  });

  it('trims changes that are old and in the entries, and keeps the last of them', async () => {
    const collections = await openCollections();
    const ledger = await open(collections);
    for (let n = 0; n < 20; n++) await ledger.append([n % 2 === 0 ? deny(1) : lift(1)]);
    expect(await trimChanges(collections, time + DAY, 10)).toBe(0);
    await ledger.whileQuiet((number) => noteProgress(collections.progress, number));
    expect(await trimChanges(collections, time, 10)).toBe(0);
    expect(await trimChanges(collections, time + DAY, 10)).toBe(9);
    expect(await collections.changes.count()).toBe(11);
    expect((await open(collections)).number).toBe(20);
  });
});
