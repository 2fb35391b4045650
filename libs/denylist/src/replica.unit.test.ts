import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { denyKey, peerDenyKeys } from './deny-key.ts';
import type { DenyList, DenyListOptions } from './deny-list.ts';
import { openDenyList } from './replica.ts';
import { SessionIndex } from './session-index.ts';
import { encodeHead, parseHead } from './source.ts';
import { MemoryAuthority } from './testing.ts';

const STALE_MS = 30_000;
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

const factsOf = (device: number) => ({
  fingerprint: `f${device}`,
  publicKeyHash: `b${device}`,
  serialNumber: `0${device}`,
  issuerKeyId: 'ca',
  account: 'acme',
  deviceId: `dev-${device}`,
});
const keyOf = (device: number) => denyKey({ kind: 'device', account: 'acme', deviceId: `dev-${device}` });
const DENIED = 'deny list: its device is denied';

let folder: string;
let time: number;
let open: DenyList[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'denylist-'));
  time = 1_800_000_000_000;
  open = [];
});

afterEach(async () => {
  for (const list of open) await list[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function setup(authority: MemoryAuthority, options: Partial<DenyListOptions> = {}) {
  const sessions = new SessionIndex({
    now: () => time,
    startTimer: () => () => undefined,
    onError: (error) => {
      throw error;
    },
  });
  const ended: number[] = [];
  const connect = (device: number) =>
    sessions.enter({
      keys: peerDenyKeys(factsOf(device)),
      notAfter: time + 1e9,
      end: () => ended.push(device),
    });
  const list = openDenyList({
    source: authority,
    sessions,
    staleAfterMs: STALE_MS,
    reorderMs: 20,
    now: () => time,
    log: silent,
    ...options,
  });
  open.push(list);
  return { list, sessions, ended, connect };
}

/** A replica of these devices' denials whose authority came back with the first `left` of them alone. */
async function restored(devices: readonly number[], left: number, options: Partial<DenyListOptions> = {}) {
  const authority = new MemoryAuthority();
  for (const device of devices) authority.change({ add: [keyOf(device)] });
  const replica = setup(authority, options);
  await replica.list.whenLoaded();
  authority.log.length = left;
  for (const device of devices.slice(left)) authority.table.lift(keyOf(device));
  authority.sendHead();
  time += 15_000;
  authority.sendHead();
  await until(() => expect(replica.list.number()).toBe(left));
  return { authority, ...replica };
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

describe('a replica of the deny list', () => {
  it('admits nobody until it is loaded', async () => {
    const authority = new MemoryAuthority();
    authority.away = new Error('nobody serves it');
    const { list } = setup(authority);
    expect(list.state()).toBe('loading');
    expect(list.admitting()).toEqual({
      ok: false,
      code: 'denylist-not-loaded',
      message: 'deny list: not loaded yet',
    });
    expect(list.denied(factsOf(1))).toBe('deny list: not loaded yet');
    authority.away = undefined;
    await list.whenLoaded();
    expect(list.admitting()).toMatchObject({ ok: true });
    expect(list.denied(factsOf(1))).toBeUndefined();
  });

  it('loads a snapshot of many pages, and says which of its names denies a peer', async () => {
    const authority = new MemoryAuthority();
    authority.pageSize = 50;
    for (let device = 0; device < 500; device++) authority.change({ add: [keyOf(device)] });
    const { list } = setup(authority);
    await list.whenLoaded();
    expect(list.number()).toBe(500);
    expect(list.size()).toBe(500);
    expect(list.denied(factsOf(499))).toBe(DENIED);
    expect(list.denied(factsOf(500))).toBeUndefined();
    const admitting = list.admitting();
    if (!admitting.ok) throw new Error(admitting.message);
    expect(admitting.list.check(peerDenyKeys(factsOf(3)))).toEqual({ denied: 'device' });
    expect(admitting.list.check(peerDenyKeys(factsOf(501)))).toBe('clear');
  });

  it('F77: ends the sessions that a change names, in the turn in which it comes', async () => {
    const authority = new MemoryAuthority();
    const { list, connect, ended } = setup(authority);
    await list.whenLoaded();
    for (const device of [1, 2, 3]) connect(device);
    authority.change({ add: [keyOf(2)] });
    expect(ended).toEqual([2]);
    expect(list.denied(factsOf(2))).toBe(DENIED);
    authority.change({ lift: [keyOf(2)] });
    expect(list.denied(factsOf(2))).toBeUndefined();
    expect(list.number()).toBe(2);
    expect(list.state()).toBe('current');
  });

  it('applies what came while the snapshot was on its way, and only what exceeds it', async () => {
    const authority = new MemoryAuthority();
    authority.change({ add: [keyOf(1), keyOf(2)] });
    const stale = await authority.snapshot();
    let answer = (): void => undefined;
    const asked = Promise.withResolvers<void>();
    const { list, connect, ended } = setup(authority, {
      source: {
        snapshot: () => {
          asked.resolve();
          return new Promise((resolve) => {
            answer = () => resolve(stale);
          });
        },
        changes: (from, to) => authority.changes(from, to),
        onChange: (handler) => authority.onChange(handler),
        onHead: (handler) => authority.onHead(handler),
        onDigest: (handler) => authority.onDigest(handler),
      },
    });
    await asked.promise;
    connect(3);
    const [first] = authority.log;
    if (first !== undefined) authority.send(first);
    authority.change({ add: [keyOf(3)], lift: [keyOf(1)] });
    expect(ended).toEqual([]);
    answer();
    await list.whenLoaded();
    expect(list.number()).toBe(2);
    expect(ended).toEqual([3]);
    expect(list.denied(factsOf(1))).toBeUndefined();
    expect(list.denied(factsOf(2))).toBe(DENIED);
  });

  it('takes pages from authorities of different numbers: the changes between them are fetched', async () => {
    const authority = new MemoryAuthority();
    const [low = '', high = ''] = [keyOf(1), keyOf(2)].sort();
    authority.change({ add: [low] }, { send: false });
    authority.change({ add: [high], lift: [low] }, { send: false });
    const { list } = setup(authority, {
      source: {
        changes: (from, to) => authority.changes(from, to),
        onChange: (handler) => authority.onChange(handler),
        onHead: (handler) => authority.onHead(handler),
        onDigest: (handler) => authority.onDigest(handler),
        // The lower half as of change 2, the upper half as of change 1.
        snapshot: async (cursor) =>
          cursor === undefined ? { number: 2, entries: '', next: 'x' } : { number: 1, entries: '' },
      },
    });
    await list.whenLoaded();
    expect(list.number()).toBe(2);
    expect(list.size()).toBe(1);
    expect(list.denied(factsOf(high === keyOf(1) ? 1 : 2))).toBe(DENIED);
  });

  it('does the same whatever the order of changes, and however often each of them comes', async () => {
    const authority = new MemoryAuthority();
    const { list } = setup(authority, { reorderMs: 10_000 });
    await list.whenLoaded();
    authority.change({ add: [keyOf(1)] }, { send: false });
    authority.change({ add: [keyOf(2)], lift: [keyOf(1)] }, { send: false });
    authority.change({ add: [keyOf(1)] }, { send: false });
    authority.change({ lift: [keyOf(2)] }, { send: false });
    const [a, b, c, d] = authority.log;
    if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('log');
    authority.send(c, c, b);
    expect(list.number()).toBe(0);
    expect(list.denied(factsOf(1))).toBe(DENIED);
    authority.send(a, b);
    expect(list.number()).toBe(3);
    expect(list.denied(factsOf(1))).toBe(DENIED);
    authority.send(d, a, d);
    expect(list.number()).toBe(4);
    expect(list.denied(factsOf(1))).toBe(DENIED);
    expect(list.denied(factsOf(2))).toBeUndefined();
  });

  it('denies at once on a change that came before its turn, and fetches the gap', async () => {
    const authority = new MemoryAuthority();
    const { list, connect, ended } = setup(authority);
    await list.whenLoaded();
    connect(1);
    connect(2);
    authority.change({ add: [keyOf(1)] }, { send: false });
    authority.change({ add: [keyOf(2)] });
    expect(ended).toEqual([2]);
    expect(list.state()).toBe('behind');
    await until(() => expect(list.number()).toBe(2));
    expect(ended).toEqual([2, 1]);
    expect(list.state()).toBe('current');
  });

  it('learns from the head that it missed the last change', async () => {
    const authority = new MemoryAuthority();
    const { list, connect, ended } = setup(authority);
    await list.whenLoaded();
    connect(1);
    authority.change({ add: [keyOf(1)] }, { send: false });
    authority.sendHead();
    expect(list.state()).toBe('behind');
    await until(() => expect(list.number()).toBe(1));
    expect(ended).toEqual([1]);
  });

  it('catches up over more changes than one answer holds', async () => {
    const authority = new MemoryAuthority();
    const { list } = setup(authority);
    await list.whenLoaded();
    for (let device = 0; device < 2500; device++) authority.change({ add: [keyOf(device)] }, { send: false });
    authority.sendHead();
    await until(() => expect(list.number()).toBe(2500));
    expect(list.size()).toBe(2500);
  });

  it('loads anew, and checks every session, when the changes it missed are gone from the log', async () => {
    const authority = new MemoryAuthority();
    const { list, connect, ended } = setup(authority);
    await list.whenLoaded();
    connect(1);
    connect(9);
    authority.change({ add: [keyOf(1)] }, { send: false });
    authority.change({ add: [keyOf(2)] }, { send: false });
    authority.log.shift();
    authority.sendHead();
    await until(() => expect(list.number()).toBe(2));
    expect(ended).toEqual([1]);
    expect(list.state()).toBe('current');
  });

  it('follows an authority that was restored from a backup, and keeps denying whom the backup does not know', async () => {
    const authority = new MemoryAuthority();
    for (let device = 0; device < 9; device++) authority.change({ add: [keyOf(device)] });
    const lost: number[] = [];
    const { list, connect, ended } = setup(authority, { onKept: (entries) => lost.push(entries) });
    await list.whenLoaded();
    connect(20);
    authority.log.length = 5;
    for (let device = 5; device < 9; device++) authority.table.lift(keyOf(device));
    authority.sendHead();
    time += 14_000;
    authority.sendHead();
    expect(list.number()).toBe(9);
    authority.change({ add: [keyOf(20)] }, { send: false });
    time += 1000;
    authority.sendHead();
    await until(() => expect(list.number()).toBe(6));
    expect(ended).toEqual([20]);
    for (const device of [5, 6, 7, 8]) expect(list.denied(factsOf(device))).toBe(DENIED);
    expect(list.state()).toBe('current');
    expect(lost).toEqual([4]);
    expect(list.alarm()).toBe(
      'deny list: its authority has lost denials that were in force (restored from a backup?): 4 are kept here',
    );
    authority.sendDigest();
    expect(list.mismatch()).toBeUndefined();
  });

  it('ends the alarm once the authority denies them again, or lifts them', async () => {
    const { authority, list } = await restored([1, 2, 3], 1);
    expect(list.kept()).toBe(2);
    authority.change({ add: [keyOf(2)] });
    expect(list.kept()).toBe(1);
    authority.change({ add: [keyOf(3)] });
    expect(list.alarm()).toBeUndefined();
    authority.change({ lift: [keyOf(3)] });
    expect(list.denied(factsOf(3))).toBeUndefined();
    expect(list.denied(factsOf(2))).toBe(DENIED);
  });

  it('denies at once whom a restored authority denies under a number that was used before', async () => {
    const authority = new MemoryAuthority();
    for (const device of [1, 2, 3]) authority.change({ add: [keyOf(device)] });
    const { list, connect, ended } = setup(authority);
    await list.whenLoaded();
    for (const device of [4, 5]) authority.change({ add: [keyOf(device)] });
    connect(9);
    // as of a backup of before 4 and 5: the next change gets their number again
    authority.log.length = 3;
    for (const device of [4, 5]) authority.table.lift(keyOf(device));
    authority.change({ add: [keyOf(9)] });
    expect(ended).toEqual([9]);
    await until(() => expect(list.number()).toBe(4));
    for (const device of [1, 2, 3, 4, 5, 9]) expect(list.denied(factsOf(device))).toBe(DENIED);
    expect(list.kept()).toBe(2);
  });

  it('with the same number and other contents the authority is not believed either: both lists hold', async () => {
    const authority = new MemoryAuthority();
    authority.change({ add: [keyOf(1)] });
    const { list } = setup(authority);
    await list.whenLoaded();
    authority.log.length = 0;
    authority.table.lift(keyOf(1));
    authority.change({ add: [keyOf(2)] }, { send: false });
    authority.sendDigest();
    await until(() => expect(list.denied(factsOf(2))).toBe(DENIED));
    expect(list.denied(factsOf(1))).toBe(DENIED);
    expect(list.alarm()).toMatch(/1 are kept here/);
  });

  it('what was lifted while a listener missed changes is not kept', async () => {
    const authority = new MemoryAuthority();
    authority.change({ add: [keyOf(1)] });
    const { list } = setup(authority);
    await list.whenLoaded();
    authority.change({ lift: [keyOf(1)] }, { send: false });
    authority.change({ add: [keyOf(2)] }, { send: false });
    authority.log.splice(0, 2);
    authority.sendHead();
    await until(() => expect(list.number()).toBe(3));
    expect(list.denied(factsOf(1))).toBeUndefined();
    expect(list.alarm()).toBeUndefined();
  });

  it('turns stale when no head comes, refuses new connections, and recovers with the next head', async () => {
    const authority = new MemoryAuthority();
    const { list } = setup(authority);
    await list.whenLoaded();
    authority.sendHead();
    time += STALE_MS;
    expect(list.admitting().ok).toBe(true);
    time += 1000;
    expect(list.state()).toBe('behind');
    expect(list.lagSeconds()).toBe(31);
    expect(list.admitting()).toEqual({
      ok: false,
      code: 'denylist-stale',
      message: 'deny list: behind its authority for 31 s (holds 0, head 0)',
    });
    authority.sendHead();
    expect(list.admitting().ok).toBe(true);
    expect(list.lagSeconds()).toBe(0);
  });

  it('turns stale though heads come, where they say that denials have been owed for longer than the bound', async () => {
    const authority = new MemoryAuthority();
    const { list } = setup(authority);
    await list.whenLoaded();
    authority.sendHead();
    for (const owedMs of [10_000, 20_000, 30_000]) {
      time += 10_000;
      authority.sendHead(0, owedMs);
      expect(list.admitting().ok).toBe(true);
    }
    time += 1000;
    authority.sendHead(0, 31_000);
    expect(list.state()).toBe('behind');
    expect(list.admitting()).toMatchObject({ ok: false, code: 'denylist-stale' });
    // a replica that owes does not speak for one that has just said that it does not
    authority.sendHead();
    authority.sendHead(0, 31_000);
    expect(list.admitting().ok).toBe(true);
    expect(list.lagSeconds()).toBe(0);
  });

  it('reads a head with what is owed, one of an earlier release without, and nothing else', () => {
    const read = (text: string) => parseHead(new TextEncoder().encode(text));
    expect(read('7')).toEqual({ number: 7, owedMs: 0 });
    expect(read('7 31000')).toEqual({ number: 7, owedMs: 31_000 });
    for (const text of ['', '7 ', '7 -1', '7 1 2', ' 7', 'x']) expect(read(text)).toBeUndefined();
    expect(new TextDecoder().decode(encodeHead({ number: 7, owedMs: 0 }))).toBe('7');
    expect(parseHead(encodeHead({ number: 7, owedMs: 0.2 }))).toEqual({ number: 7, owedMs: 1 });
  });

  it('goes on admitting with a stale list where the operator has said so', async () => {
    const authority = new MemoryAuthority();
    authority.change({ add: [keyOf(1)] });
    const { list } = setup(authority, { refuseWhenStale: false });
    await list.whenLoaded();
    time += STALE_MS + 1000;
    expect(list.state()).toBe('behind');
    expect(list.admitting().ok).toBe(true);
    expect(list.denied(factsOf(1))).toBe(DENIED);
  });

  it('turns stale while heads come but the changes cannot be fetched', async () => {
    const authority = new MemoryAuthority();
    const { list } = setup(authority);
    await list.whenLoaded();
    authority.sendHead();
    authority.away = new Error('no answer');
    authority.change({ add: [keyOf(1)] }, { send: false });
    time += STALE_MS + 1000;
    authority.sendHead();
    expect(list.admitting()).toMatchObject({ ok: false, code: 'denylist-stale' });
    authority.away = undefined;
    await until(() => expect(list.admitting().ok).toBe(true));
    expect(list.number()).toBe(1);
  });

  it('forgets entries when they expire, with or without a purge', async () => {
    const authority = new MemoryAuthority();
    authority.change({ add: [keyOf(1)] }, { expiresAt: time / 1000 + 60 });
    const { list } = setup(authority);
    await list.whenLoaded();
    expect(list.denied(factsOf(1))).toBe(DENIED);
    time += 60_000;
    expect(list.denied(factsOf(1))).toBeUndefined();
  });
});

describe('the digest of the deny list', () => {
  async function follow(authority: MemoryAuthority, options: Partial<DenyListOptions> = {}) {
    const mismatches: number[] = [];
    const replica = setup(authority, { onMismatch: (number) => mismatches.push(number), ...options });
    await replica.list.whenLoaded();
    return { ...replica, mismatches };
  }

  it('is the same at authority and replica, whatever came, left or expired meanwhile', async () => {
    const authority = new MemoryAuthority();
    const { list, mismatches } = await follow(authority);
    for (let device = 0; device < 50; device++)
      authority.change({ add: [keyOf(device)] }, { expiresAt: device % 3 === 0 ? time / 1000 + 60 : 0 });
    authority.change({ lift: [keyOf(1), keyOf(3)] });
    authority.sendDigest();
    time += 120_000;
    authority.table.purge(time / 1000);
    authority.sendDigest();
    expect(list.size()).toBe(authority.table.size);
    expect(list.mismatch()).toBeUndefined();
    expect(mismatches).toEqual([]);
  });

  it('that differs: the list is loaded anew, live sessions are checked again, and it is told', async () => {
    const authority = new MemoryAuthority();
    authority.change({ add: [keyOf(1)] });
    const { list, mismatches, connect, ended } = await follow(authority);
    connect(2);
    authority.table.add(keyOf(2), 0);
    authority.sendDigest();
    expect(mismatches).toEqual([1]);
    expect(list.mismatch()).toBe(
      "deny list: at change 1 it differs from its authority's, and is loaded anew",
    );
    await until(() => expect(ended).toEqual([2]));
    authority.sendDigest();
    expect(list.mismatch()).toBeUndefined();
    expect(mismatches).toEqual([1]);
  });

  it('of a number that is not reached yet is compared when it is; one that went by, too', async () => {
    const authority = new MemoryAuthority();
    const { mismatches } = await follow(authority);
    const first = authority.change({ add: [keyOf(1)] }, { send: false });
    authority.sendDigest({ digest: '0'.repeat(16) });
    expect(mismatches).toEqual([]);
    authority.send(first);
    expect(mismatches).toEqual([1]);
    await until(() => authority.sendDigest());
    const { digest } = authority.table;
    authority.change({ add: [keyOf(2)] });
    authority.sendDigest({ number: 1, digest });
    expect(mismatches).toEqual([1]);
    authority.sendDigest({ number: 1, digest: 'f'.repeat(16) });
    expect(mismatches).toEqual([1, 1]);
  });

  it('from an authority whose clock is ahead takes no denial away', async () => {
    const authority = new MemoryAuthority();
    authority.change({ add: [keyOf(1)] }, { expiresAt: time / 1000 + 3600 });
    const { list, mismatches } = await follow(authority);
    authority.sendDigest({ horizon: time / 1000 + 7200 });
    expect(list.denied(factsOf(1))).toBe(DENIED);
    expect(mismatches).toEqual([]);
  });
});

describe('a clock that is set back', () => {
  it('does not hide that no word comes: the list is stale one bound later', async () => {
    const authority = new MemoryAuthority();
    const { list } = setup(authority);
    await list.whenLoaded();
    authority.sendHead();
    time -= 3_600_000;
    expect(list.admitting()).toMatchObject({ ok: true });
    time += STALE_MS + 1;
    expect(list.admitting()).toMatchObject({ ok: false, code: 'denylist-stale' });
    authority.sendHead();
    expect(list.admitting()).toMatchObject({ ok: true });
  });
});

describe('the deny list kept on disk', () => {
  const file = () => join(folder, 'deny', 'list');

  async function leaveOnDisk(devices: readonly number[]) {
    const authority = new MemoryAuthority();
    authority.change({ add: devices.map(keyOf) });
    const { list } = setup(authority, { cacheFile: file() });
    await list.whenLoaded();
    await list[Symbol.asyncDispose]();
    return authority;
  }

  it('F11: lets a listener start while the authority is unavailable, up to the configured age', async () => {
    const authority = await leaveOnDisk([1, 2]);
    authority.away = new Error('away');
    time += 3_600_000;
    const { list } = setup(authority, { cacheFile: file(), cacheMaxAgeMs: 7_200_000 });
    await list.whenLoaded();
    expect(list.state()).toBe('behind');
    expect(list.admitting().ok).toBe(true);
    expect(list.denied(factsOf(2))).toBe(DENIED);
    expect(list.denied(factsOf(3))).toBeUndefined();
    expect(list.lagSeconds()).toBe(3600);
    time += 3_600_001;
    expect(list.admitting()).toMatchObject({ ok: false, code: 'denylist-stale' });
  });

  it('admits nobody who was denied while the listener was down: it asks before it decides', async () => {
    const authority = await leaveOnDisk([1]);
    authority.change({ add: [keyOf(5)] });
    const snapshot = vi.spyOn(authority, 'snapshot');
    const { list } = setup(authority, { cacheFile: file() });
    await list.whenLoaded();
    expect(list.denied(factsOf(5))).toBe(DENIED);
    expect(list.number()).toBe(2);
    expect(snapshot).not.toHaveBeenCalled();
  });

  it('catches up by changes alone when the authority is back', async () => {
    const authority = await leaveOnDisk([1]);
    authority.away = new Error('away');
    const snapshot = vi.spyOn(authority, 'snapshot');
    const { list, connect, ended } = setup(authority, { cacheFile: file() });
    await list.whenLoaded();
    connect(5);
    authority.away = undefined;
    authority.change({ add: [keyOf(5)] });
    await until(() => {
      authority.sendHead();
      expect(list.number()).toBe(2);
    });
    expect(ended).toEqual([5]);
    expect(snapshot).not.toHaveBeenCalled();
    expect(list.state()).toBe('current');
  });

  it('is not used when it is older than that: nobody is admitted', async () => {
    const authority = await leaveOnDisk([1]);
    authority.away = new Error('away');
    time += STALE_MS + 1;
    const warnings: string[] = [];
    const { list } = setup(authority, {
      cacheFile: file(),
      log: { ...silent, warn: (_facts, message) => warnings.push(message) },
    });
    const bound = 'while SIGNET_DENYLIST_MAX_SNAPSHOT_AGE_SECONDS allows 30 s without its authority';
    await until(() =>
      expect(warnings).toContain(`deny list: the list on disk is too old to start from, ${bound}`),
    );
    expect(list.admitting()).toEqual({
      ok: false,
      code: 'denylist-not-loaded',
      message: `deny list: not loaded yet: the one on disk is 30 s old, ${bound}`,
    });
  });

  it('denials that a restored authority has lost outlive the restart of the listener, and the next one', async () => {
    const { authority, list } = await restored([1, 2, 3], 1, { cacheFile: file() });
    await list[Symbol.asyncDispose]();
    for (let start = 0; start < 2; start++) {
      const again = setup(authority, { cacheFile: file() }).list;
      await again.whenLoaded();
      for (const device of [1, 2, 3]) expect(again.denied(factsOf(device))).toBe(DENIED);
      expect(again.alarm()).toMatch(/2 are kept here/);
      await again[Symbol.asyncDispose]();
    }
  });

  it('a listener that was down while its authority was restored does not forget either, however old its list', async () => {
    const authority = await leaveOnDisk([1]);
    authority.change({ add: [keyOf(2)] });
    const before = setup(authority, { cacheFile: file() }).list;
    await before.whenLoaded();
    authority.sendHead();
    expect(before.number()).toBe(2);
    await Promise.all(open.splice(0).map((list) => list[Symbol.asyncDispose]()));
    authority.log.length = 1;
    authority.table.lift(keyOf(2));
    time += 30 * 86_400_000;
    const { list } = setup(authority, { cacheFile: file() });
    await list.whenLoaded();
    expect(list.number()).toBe(1);
    expect(list.denied(factsOf(2))).toBe(DENIED);
    expect(list.alarm()).toMatch(/1 are kept here/);
  });

  it.each([
    ['flipped bit', (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(60) ^ 1, 60), 'digest'],
    ['another number', (bytes: Buffer) => bytes.writeUInt8(9, 23), 'digest'],
    ['another format', (bytes: Buffer) => bytes.writeUInt8(0, 0), 'format'],
  ])('is not used with a %s, and the reason is logged', async (_defect, spoil, code) => {
    const authority = await leaveOnDisk([1]);
    const bytes = await readFile(file());
    spoil(bytes);
    await writeFile(file(), bytes);
    authority.away = new Error('away');
    const warnings: object[] = [];
    const { list } = setup(authority, {
      cacheFile: file(),
      log: { ...silent, warn: (facts) => warnings.push(facts) },
    });
    await until(() =>
      expect(warnings).toContainEqual(expect.objectContaining({ err: expect.objectContaining({ code }) })),
    );
    expect(list.state()).toBe('loading');
  });

  it('is replaced as a whole, never written in place, and leaves no temporary file', async () => {
    const authority = await leaveOnDisk([1]);
    const before = await readFile(file());
    authority.change({ add: [keyOf(2)] });
    const { list } = setup(authority, { cacheFile: file() });
    await list.whenLoaded();
    await until(() => {
      authority.sendHead();
      expect(list.number()).toBe(2);
    });
    await list[Symbol.asyncDispose]();
    expect(await readdir(join(folder, 'deny'))).toEqual(['list']);
    const after = await readFile(file());
    expect(after.byteLength).toBe(before.byteLength + 20);
  });
});
