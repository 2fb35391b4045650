import { type ChildProcess, fork } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCsr, generateKeyPair } from '@signet/pki';
import { createLogger, openBackbone } from '@signet/service';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openCollections } from '../src/collections.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';

const DEVICES = 300;
const KILLED_AFTER = 100;
type Started = {
  readonly child: ChildProcess;
  readonly service: { readonly estPort: number };
  readonly anchors: string;
  readonly grants: string[];
};
let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'signet-killed-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

/** A service of its own process on the same folder; makes a grant for each device that is named. */
async function start(devices: readonly string[]): Promise<Started> {
  const child = fork(join(import.meta.dirname, 'support', 'est-process.ts'), [dataDir, ...devices], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  type Told = { readonly port: number; readonly anchors: string; readonly grants: string[] };
  const { promise, resolve, reject } = Promise.withResolvers<Told>();
  child.once('message', (message) => resolve(message as Told));
  child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
  const { port, anchors, grants } = await promise;
  return { child, service: { estPort: port }, anchors, grants };
}

describe('kill -9 in the middle of enrolments', { timeout: 120_000 }, () => {
  it('loses and doubles nothing: what a client got is recorded once, with one event; the others get theirs on a retry', async () => {
    const devices = Array.from({ length: DEVICES }, (_, i) => `dev-${i}`);
    const first = await start(devices);
    const requests = devices.map((deviceId, i) => {
      const privateKey: KeyObject = generateKeyPair('P-256').privateKey;
      return { deviceId, csr: createCsr({ privateKey }), grant: first.grants[i] ?? '' };
    });
    const got = new Map<string, string>();
    const ask = async (at: Started, { deviceId, csr, grant }: (typeof requests)[number]) => {
      const reply = await call(at, enrolment(csr, { basic: [deviceId, grant] }));
      got.set(deviceId, issuedIn(reply).fingerprint);
    };

    const dead = new Promise((resolve) => first.child.once('exit', resolve));
    const queue = requests.values();
    const lanes = Array.from({ length: 8 }, async () => {
      for (const request of queue) {
        await ask(first, request).catch(() => {});
        if (got.size >= KILLED_AFTER) first.child.kill('SIGKILL');
      }
    });
    await Promise.all([dead, ...lanes]);
    const before = new Map(got);
    expect(before.size).toBeGreaterThanOrEqual(KILLED_AFTER);
    expect(before.size).toBeLessThan(DEVICES);

    const second = await start([]);
    for (const request of requests) await ask(second, request);
    for (const [deviceId, fingerprint] of before) expect(got.get(deviceId)).toBe(fingerprint);
    const stopped = new Promise((resolve) => second.child.once('exit', resolve));
    second.child.kill('SIGTERM');
    await stopped;

    const store = `sqlite:${join(dataDir, 'signet.db')}`;
    const log = createLogger({ service: 'test', level: 'silent' });
    await using backbone = await openBackbone({ store, bus: 'local', dataDir, name: 'test', log });
    const { certificates } = await openCollections(backbone.store);
    expect(await certificates.count()).toBe(DEVICES);
    const evented: string[] = [];
    await backbone.bus.tail({ types: ['CERT_ISSUED'], from: 'start' }, ({ data }) => {
      evented.push((data as { fingerprint: string }).fingerprint);
    });
    await vi.waitFor(() => expect(evented).toHaveLength(DEVICES), 10_000);
    expect(evented.toSorted()).toEqual([...got.values()].toSorted());
  });
});
