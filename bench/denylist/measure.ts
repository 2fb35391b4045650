import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ListState, loadSnapshot, peerDenyKeys } from '@signet/denylist';
import { verifyPeer } from '@signet/pki';
import { createTestPki } from '@signet/pki/testing';
import { randomSnapshot } from './snapshot.ts';

const KEYS = 500_000;
const ROUNDS = 500;
const ADMISSIONS = 4000;
const DELTAS = 200_000;
const DAY = 86_400;

const entries = Number(process.argv[2]);
const now = Math.floor(Date.now() / 1000);

const idle = await held();
const { state, loadSeconds, loadCpuSeconds, lookupsPerSecond } = await loadAndLookUp();
const bytes = (await held()) - idle;
if (state.table.size !== entries) throw new Error(`${state.table.size} entries were loaded`);
const admissionsPerSecond = admit(state);
const deltasPerSecond = change(state);
const isSound = state.table.isSound();
const purgeStart = performance.now();
state.purge(now + DAY);
const purgeSeconds = (performance.now() - purgeStart) / 1000;
const left = state.table.size;
const bytesAfterPurge = (await held()) - idle;
if (!isSound) throw new Error('the table is not what its changes say');

const result = {
  entries,
  bytesPerEntry: bytes / entries,
  loadSeconds,
  loadCpuSeconds,
  lookupsPerSecond,
  deltasPerSecond,
  admissionsPerSecond,
  purge: { left, seconds: purgeSeconds, megabytes: { before: bytes / 1e6, after: bytesAfterPurge / 1e6 } },
};
process.stdout.write(
  JSON.stringify(result, (_, value) => (typeof value === 'number' ? rounded(value) : value)),
);

async function loadAndLookUp() {
  const snapshot = randomSnapshot(entries, KEYS, now + DAY);
  const source = {
    snapshot: async (cursor = '0') => {
      const page = snapshot.pages[Number(cursor)];
      if (page === undefined) throw new Error(`no page ${cursor}`);
      return page;
    },
  };
  await held();
  const start = performance.now();
  const cpu = process.cpuUsage();
  const { state } = await loadSnapshot(source, new AbortController().signal);
  const loadSeconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const loadCpuSeconds = (user + system) / 1e6;
  return { state, loadSeconds, loadCpuSeconds, lookupsPerSecond: lookUp(state, snapshot.keys) };
}

/** Half of the keys are in the list. The median of many rounds: other processes take the processor now and then. */
function lookUp({ table }: ListState, present: readonly string[]): number {
  const rates: number[] = [];
  const each = Math.floor(present.length / ROUNDS);
  for (let round = 0; round < ROUNDS; round++) {
    const asked = present
      .slice(round * each, (round + 1) * each)
      .flatMap((key) => [key, randomBytes(16).toString('hex')]);
    let hits = 0;
    const start = performance.now();
    for (const key of asked) if (table.has(key, now)) hits++;
    rates.push(asked.length / ((performance.now() - start) / 1000));
    if (hits !== each) throw new Error(`${hits} of ${each} keys were found`);
  }
  return rates.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
}

/** The whole decision about a peer: certificate, signature, chain, and its six hashes in the list. */
function admit({ table }: ListState): number {
  const pki = createTestPki();
  const issuers = pki.issuers;
  const leaves = Array.from({ length: 50 }, (_, n) => pki.operational('acme', `dev-${n}`).certificate.der);
  let admitted = 0;
  const start = performance.now();
  for (let i = 0; i < ADMISSIONS; i++) {
    const verdict = verifyPeer({
      leaf: leaves[i % leaves.length],
      issuers,
      purposes: ['operational'],
      now: Date.now(),
      denied: (facts) =>
        Object.values(peerDenyKeys(facts)).some((key) => table.has(key, now)) ? 'denied' : undefined,
    });
    if (verdict.ok) admitted++;
  }
  const seconds = (performance.now() - start) / 1000;
  if (admitted !== ADMISSIONS) throw new Error(`${admitted} of ${ADMISSIONS} peers were admitted`);
  return ADMISSIONS / seconds;
}

/** Changes of one entry each, as they come from the bus. */
function change(list: ListState): number {
  const changes = Array.from({ length: DELTAS }, (_, n) => ({
    number: list.number + n + 1,
    add: [{ key: randomBytes(16).toString('hex'), kind: 'key' as const, reason: 'x', expiresAt: now + DAY }],
    lift: [],
  }));
  const start = performance.now();
  for (const one of changes) list.offer(one);
  return DELTAS / ((performance.now() - start) / 1000);
}

/** Bytes held in buffers and on the heap, once what is not needed is gone. */
async function held(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await nextTurn();
    globalThis.gc?.();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function rounded(value: number): number {
  return value > 1000 ? Math.round(value) : Number(value.toFixed(3));
}
