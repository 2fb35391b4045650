import { describe, expect, it } from 'vitest';
import { watchClock } from './clock-watch.ts';
import { Health } from './health.ts';
import { createLogger } from './logger.ts';
import { startMetrics } from './telemetry.ts';

const NOON = Date.UTC(2026, 5, 1, 12);

function watched(ms: number, server: { earliest: number; latest: number } | undefined) {
  const health = new Health();
  const { metrics, exposition } = startMetrics();
  const clock = watchClock({
    store: { serverTime: () => undefined },
    bus: { serverTime: () => server },
    now: () => NOON + ms,
    boundMs: 30_000,
    health,
    metrics,
    log: createLogger({ service: 'test', level: 'silent' }),
  });
  return { clock, health, exposition };
}
const server = { earliest: NOON - 200, latest: NOON + 200 };

describe('the clock of a process', () => {
  it('is right where it may be, by what the answer of the server took', async () => {
    const { clock, health, exposition } = watched(150, server);
    expect(clock.fault()).toBeUndefined();
    expect((await health.report()).ready).toBe(true);
    expect(await exposition()).toContain('signet_clock_difference_seconds{reference="bus"} 0');
  });

  it('that leads by more than the bound signs nothing and is not ready', async () => {
    expect(watched(30_100, server).clock.fault()).toBeUndefined();
    const { clock, health } = watched(31_000, server);
    expect(clock.fault()).toBe("clock: 30.8 s ahead of that of the bus's server (bound: 30 s)");
    expect((await health.report()).checks.clock).toEqual({ ok: false, reason: clock.fault() });
  });

  it('that lags is not ready, and may sign: what it signs hides nothing', async () => {
    const { clock, health } = watched(-60_000, server);
    expect(clock.fault()).toBeUndefined();
    expect((await health.report()).checks.clock?.reason).toMatch(/^clock: 59.8 s behind/);
  });

  it('is taken as it is while no server has said what time it has', async () => {
    const { clock, health } = watched(10 ** 9, undefined);
    expect(clock.fault()).toBeUndefined();
    expect((await health.report()).ready).toBe(true);
  });
});
