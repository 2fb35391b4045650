import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '@signet/store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changeRecords, entryRecords, progressRecords } from '../../collections.ts';
import type { Intent } from '../denial/deny-state.ts';
import { Ledger } from './ledger.ts';
import { noteProgress } from './projection.ts';
import type { LedgerCollections } from './records.ts';
import { purgeDenyList, SteadyClock } from './upkeep.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let stack: AsyncDisposableStack;
let collections: LedgerCollections;
let ledger: Ledger;
/** The wall clock, and how long the process has run. */
let time: number;
let steady: number;
let clock: SteadyClock;
let said: string[];

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'purging-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const url = `sqlite:${join(folder, 'signet.db')}`;
  const store = stack.use(await openStore({ url, publish: async () => undefined }));
  collections = {
    changes: await store.collection(changeRecords),
    entries: await store.collection(entryRecords),
    progress: await store.collection(progressRecords),
  };
  time = Date.parse('2027-01-01T00:00:00Z');
  steady = 0;
  said = [];
  clock = new SteadyClock(
    () => time,
    () => steady,
  );
  ledger = await Ledger.open(collections, { now: () => time, onNumber: () => undefined });
  await ledger.append([denied('dev-1', time + 10 * DAY_MS), denied('dev-2', 0)]);
  await ledger.whileQuiet((number) => noteProgress(collections.progress, number));
});
afterEach(() => stack.disposeAsync());

function denied(deviceId: string, until: number): Intent {
  const hold = { cause: 'x', source: 's', account: 'acme', reason: 'r' };
  return {
    ...{ do: 'deny', target: { kind: 'device', account: 'acme', deviceId } },
    hold: { ...hold, since: new Date(time).toISOString(), expiresAt: until / 1000 },
  };
}

/** One round of it. @returns how many entries are left */
async function round(): Promise<number> {
  const tell = (first: unknown, second?: string) => void said.push(second ?? String(first));
  const log = { error: tell, info: tell, warn: tell };
  await purgeDenyList({ ...collections, ledger, clock, now: () => time, log, logDays: 14 });
  expect(said.length).toBeGreaterThan(0);
  return collections.entries.count();
}

describe('the purge of what has expired', () => {
  it('takes away what has been over for a day, and nothing else', async () => {
    time += 12 * DAY_MS;
    steady += 12 * DAY_MS;
    expect(await round()).toBe(1);
    expect(said).toEqual(['deny list: purged']);
  });

  it('takes away nothing while the clock is one that was set ahead: what it takes for expired would be gone for good', async () => {
    time += 12 * DAY_MS;
    steady += HOUR_MS;
    expect(await round()).toBe(2);
    expect(said).toEqual([
      'deny list: the clock was set, nothing is purged until it is back or the process starts anew',
    ]);
    time -= 12 * DAY_MS - HOUR_MS;
    steady += 12 * DAY_MS;
    time += 12 * DAY_MS;
    said = [];
    expect(await round()).toBe(1);
  });

  it('trusts a clock that is off by less than an hour, as time servers correct it', () => {
    time += 0.9 * HOUR_MS;
    expect(clock.jump()).toBe(0);
    time += 0.2 * HOUR_MS;
    expect(clock.jump()).toBeGreaterThan(HOUR_MS);
    time -= 2.2 * HOUR_MS;
    expect(clock.jump()).toBeLessThan(-HOUR_MS);
  });
});
