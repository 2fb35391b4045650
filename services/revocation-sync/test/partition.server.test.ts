import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DenyTarget, denyTargets, identifyDevices } from '@signet/contracts';
import { denyListSource, openDenyList, peerDenyKeys, SessionIndex } from '@signet/denylist';
import { createLogger, Health, openBackbone, startMetrics } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { openCuttableWay } from '@signet/tests/servers/cuttable';
import { startNats } from '@signet/tests/servers/start';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { startRevocationSync } from '../src/app.ts';
import { revocationSyncConfig } from '../src/config.ts';
import { peer } from './authority.ts';

const binary = requireServer('nats-server');
const log = createLogger({ service: 'test', level: 'silent' });
const until = (check: () => void) => vi.waitFor(check, { timeout: 30_000, interval: 20 });

const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

describe.skipIf(binary === '')('a listener that is cut off from the authority', () => {
  it('F77: grows stale and refuses, and when the way is back catches up and ends the sessions that were denied meanwhile', async () => {
    const nats = stack.use(await startNats(binary));
    const folder = await mkdtemp(join(tmpdir(), 'partition-'));
    stack.defer(() => rm(folder, { recursive: true }));
    const backbone = async (name: string, bus: string) => {
      const store = `sqlite:${join(folder, `${name}.db`)}`;
      return stack.use(await openBackbone({ store, bus, dataDir: folder, name, log }));
    };
    const own = await backbone('authority', nats.url);
    const { metrics } = startMetrics();
    const deps = { ...own, log, now: Date.now, health: new Health(), metrics };
    stack.use(await startRevocationSync(revocationSyncConfig.parse({}), deps));
    stack.use(await own.bus.serve(identifyDevices, async () => ({ devices: [] })));

    const way = stack.use(await openCuttableWay(nats.port));
    const there = await backbone('listener', `nats://127.0.0.1:${way.port}`);
    const onError = (error: unknown) => expect.fail(String(error));
    const sessions = stack.use(new SessionIndex({ now: Date.now, onError }));
    // heads come every five seconds
    const options = { source: denyListSource(there.bus), sessions, staleAfterMs: 7000, now: Date.now, log };
    const list = stack.use(openDenyList(options));
    await list.whenLoaded();
    await until(() => expect(list.admitting().ok).toBe(true));
    const ended: string[] = [];
    for (const n of [1, 2]) {
      const end = () => void ended.push(`dev-${n}`);
      sessions.enter({ keys: peerDenyKeys(peer(n)), notAfter: Date.now() + 1e6, end });
    }

    way.cut(true);
    const deny = (...ids: string[]) => {
      const targets = ids.map((deviceId): DenyTarget => ({ kind: 'device', account: 'acme', deviceId }));
      return own.bus.request(denyTargets, { account: 'acme', targets, reason: 'stolen', by: 'ada' });
    };
    for (let n = 0; n < 20; n++) await deny(`gone-${n}`);
    await deny('dev-1');
    await until(() => expect(list.admitting()).toMatchObject({ ok: false, code: 'denylist-stale' }));
    expect(ended).toEqual([]);
    expect(list.size()).toBe(0);

    way.cut(false);
    await until(() => expect(ended).toEqual(['dev-1']));
    await until(() => expect(list.size()).toBe(21));
    await until(() => expect(list.admitting().ok).toBe(true));
    expect(list.state()).toBe('current');
    await deny('dev-2');
    await until(() => expect(ended).toEqual(['dev-1', 'dev-2']));
  }, 120_000);
});
