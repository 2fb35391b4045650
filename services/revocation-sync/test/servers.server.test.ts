import { denylistChanges, denyTargets } from '@signet/contracts';
import { denyListSource, openDenyList, peerDenyKeys, SessionIndex } from '@signet/denylist';
import { createLogger, Health, openBackbone, startMetrics } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { describe, expect, it, vi } from 'vitest';
import { startRevocationSync } from '../src/app.ts';
import { revocationSyncConfig } from '../src/config.ts';
import { eventOf, peer } from './authority.ts';

const nats = requireServer('nats');
const mongo = requireServer('mongo');

const log = createLogger({ service: 'test', level: 'silent' });
const until = (check: () => void) => vi.waitFor(check, { timeout: 30_000, interval: 10 });

describe.skipIf(nats === '' || mongo === '')('two replicas over NATS and MongoDB', () => {
  it('F77: number concurrent changes without a gap, and end sessions when the change is made, not when heads are said', async () => {
    await using stack = new AsyncDisposableStack();
    const database = `revocation_sync_${process.pid}`;
    const store = `${mongo.replace(/\/$/, '')}/${database}`;
    const backbone = async (name: string) =>
      stack.use(await openBackbone({ store, bus: nats, dataDir: '.', name, log }));
    for (const name of ['authority-1', 'authority-2']) {
      const { store, bus } = await backbone(name);
      const { metrics } = startMetrics();
      const deps = { store, bus, log, now: Date.now, health: new Health(), metrics };
      stack.use(await startRevocationSync(revocationSyncConfig.parse({}), deps));
    }
    const { bus } = await backbone('listener');
    const sessions = stack.use(
      new SessionIndex({
        now: Date.now,
        onError: (error) => {
          throw error;
        },
      }),
    );
    const source = denyListSource(bus);
    const list = stack.use(openDenyList({ source, sessions, staleAfterMs: 30_000, now: Date.now, log }));
    await list.whenLoaded();

    const before = list.number();
    const calls = Array.from({ length: 40 }, (_, n) =>
      bus.request(denyTargets, {
        account: 'acme',
        targets: [{ kind: 'device', account: 'acme', deviceId: `group-${n}` }],
        reason: 'stolen',
        by: 'ada',
      }),
    );
    const events = Array.from({ length: 20 }, (_, n) =>
      bus.publish([eventOf('CERT_REVOKED', 100 + n, { reason: 'unspecified' })]),
    );
    await Promise.all([...calls, ...events]);
    await until(() => expect(list.size()).toBe(60));
    const { changes } = await bus.request(denylistChanges, { from: before + 1, to: list.number() });
    expect(changes.map(({ number }) => number)).toEqual(changes.map((_, index) => before + 1 + index));

    const kicks: number[] = [];
    for (let n = 1; n <= 10; n++) {
      const end = Promise.withResolvers<string>();
      sessions.enter({ keys: peerDenyKeys(peer(n)), notAfter: Date.now() + 1e6, end: end.resolve });
      const started = performance.now();
      await bus.publish([eventOf('CERT_REVOKED', n, { reason: 'unspecified' })]);
      expect(await end.promise).toBe('denied');
      kicks.push(performance.now() - started);
    }
    // heads are said every 5 s; how fast it is on a machine that is not busy, the bench says
    expect(kicks.toSorted((a, b) => a - b)[5]).toBeLessThan(2500);
  });
});
