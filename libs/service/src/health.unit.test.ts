import { afterEach, expect, test } from 'vitest';
import { Health } from './health.ts';
import { type HealthServer, startHealthServer } from './health-server.ts';
import { createLogger } from './logger.ts';
import { startMetrics } from './telemetry.ts';

const log = createLogger({ service: 'test', level: 'silent' });
let server: HealthServer | undefined;

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});

async function serve(health: Health, exposition = async () => '') {
  server = await startHealthServer({ port: 0, host: '127.0.0.1', health, exposition, log });
  const at = `http://127.0.0.1:${server.port}`;
  return async (path: string) => {
    const response = await fetch(at + path);
    return { status: response.status, text: await response.text() };
  };
}

test('a process is alive and not ready while a check has a reason against it, and says the reason', async () => {
  const health = new Health();
  let wrong: string | undefined = 'connection refused';
  health.register('bus', () => wrong);
  health.register('store', () => undefined);
  const get = await serve(health);

  expect((await get('/health')).status).toBe(200);
  const before = await get('/ready');
  expect(before.status).toBe(503);
  expect(JSON.parse(before.text)).toEqual({
    ready: false,
    checks: { bus: { ok: false, reason: 'connection refused' }, store: { ok: true } },
  });
  wrong = undefined;
  expect((await get('/ready')).status).toBe(200);
});

test('a check that throws or hangs fails by itself and hides no other', async () => {
  const health = new Health();
  health.register('keys', () => {
    throw new Error('no such file');
  });
  health.register('store', () => new Promise(() => {}));
  health.register('bus', () => undefined);
  expect(await health.report(20)).toEqual({
    ready: false,
    checks: {
      keys: { ok: false, reason: 'no such file' },
      store: { ok: false, reason: 'no answer within 20 ms' },
      bus: { ok: true },
    },
  });
});

test('a warning is shown and does not take the process out of service', async () => {
  const health = new Health();
  health.register('ca', () => ({ warning: 'ends in 20 days' }));
  expect(await health.report()).toEqual({
    ready: true,
    checks: { ca: { ok: true, reason: 'ends in 20 days' } },
  });
});

test('two replicas in one process may register one name, and a disposed check is gone', async () => {
  const health = new Health();
  const first = health.register('trust', () => 'not loaded');
  health.register('trust', () => undefined);
  expect(Object.keys((await health.report()).checks)).toEqual(['trust', 'trust#2']);
  first[Symbol.dispose]();
  expect((await health.report()).ready).toBe(true);
});

test('/metrics has stable names in Prometheus text', async () => {
  const { metrics, exposition } = startMetrics();
  metrics.estEnrollments.add({ account: 'acme', outcome: 'issued' });
  metrics.admissionSeconds.observe(0.0003, { listener: 'est', outcome: 'verified' });
  metrics.revocationToKickSeconds.observe(0.02, { listener: 'mqtt' });
  metrics.gauge('signet_denylist_lag_seconds', 'Lag', () => 1.5);
  const get = await serve(new Health(), exposition);

  const { text } = await get('/metrics');
  expect(text).toContain('signet_est_enrollments_total{account="acme",outcome="issued"} 1\n');
  expect(text).toContain(
    'signet_admission_seconds_bucket{listener="est",outcome="verified",le="0.0005"} 1\n',
  );
  expect(text).toContain('signet_revocation_to_kick_seconds_count{listener="mqtt"} 1\n');
  expect(text).toContain('signet_denylist_lag_seconds 1.5\n');
});

test('a gauge of an account that has nothing any more falls to 0, and does not keep its last value', async () => {
  const { metrics, exposition } = startMetrics();
  let sessions: [{ account: string }, number][] = [
    [{ account: 'acme' }, 3],
    [{ account: 'other' }, 1],
  ];
  metrics.gauges('signet_mqtt_sessions', 'Sessions', () => sessions);
  const get = await serve(new Health(), exposition);
  expect((await get('/metrics')).text).toContain('signet_mqtt_sessions{account="acme"} 3\n');
  sessions = [[{ account: 'other' }, 1]];
  await get('/metrics');
  const { text } = await get('/metrics');
  expect(text).toContain('signet_mqtt_sessions{account="acme"} 0\n');
  expect(text).toContain('signet_mqtt_sessions{account="other"} 1\n');
});

test('anything else on the health port is not found', async () => {
  const get = await serve(new Health());
  expect((await get('/v1/devices')).status).toBe(404);
});
