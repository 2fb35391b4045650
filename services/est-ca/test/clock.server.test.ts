import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { revokeCertificates } from '@signet/contracts';
import { parseCrl } from '@signet/pki';
import { createLogger, Health, startMetrics, watchClock } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { EstCaService } from '../src/app.ts';
import { call, enrolment } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { enrolledDevice } from './support/scene.ts';

const natsServer = requireServer('nats-server');
const AHEAD_MS = 300_000;

describe.skipIf(natsServer === '')('a replica whose clock is five minutes fast', { timeout: 120_000 }, () => {
  let est: EstFixture;
  let fast: EstCaService;
  const health = new Health();
  const { metrics, exposition } = startMetrics();
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    const nats = stack.use(await startNats(natsServer));
    const dataDir = await mkdtemp(join(tmpdir(), 'signet-clock-'));
    stack.defer(() => rm(dataDir, { recursive: true, force: true }));
    const env = { SIGNET_EST_CRL_CACHE_SECONDS: '0', SIGNET_EST_OCSP_CACHE_SECONDS: '0' };
    est = stack.use(await openEstFixture({ bus: nats.url, env }));
    const { bus, store } = est.fixture.deps;
    const now = () => Date.now() + AHEAD_MS;
    const log = createLogger({ service: 'test', level: 'silent' });
    const clock = stack.use(watchClock({ bus, store, now, boundMs: 30_000, health, metrics, log }));
    await vi.waitFor(() => expect(clock.fault()).toMatch(/ahead of that of the bus/), { timeout: 20_000 });
    fast = stack.use(await est.startReplica({ now, clock }));
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  it('says so in /ready and in a metric', async () => {
    const { ready, checks } = await health.report();
    expect(ready).toBe(false);
    expect(checks.clock?.reason).toMatch(/^clock: 300(\.\d)? s ahead of that of the bus's server/);
    const sample = /signet_clock_difference_seconds\{reference="bus"\} (\S+)/.exec(await exposition());
    expect(Number(sample?.[1])).toBeGreaterThan(299);
  });

  it('publishes no CRL, and what is revoked meanwhile, through either replica, is listed', async () => {
    const devices = [];
    for (let i = 0; i < 6; i++) devices.push(await enrolledThrough(est, `dev-${i}`));
    const { bus } = est.fixture.deps;
    for (const deviceId of devices)
      await bus.request(revokeCertificates, { account: ACCOUNT, deviceId, by: 'ada' });
    await vi.waitFor(
      async () => {
        const response = await fetch(`http://127.0.0.1:${est.service.httpPort}/crl/issuing.crl`);
        const { entries, thisUpdate } = parseCrl(new Uint8Array(await response.arrayBuffer()));
        expect(entries).toHaveLength(devices.length);
        expect(thisUpdate).toBeLessThan(Date.now() + 1000);
      },
      { timeout: 30_000 },
    );
  });

  it('issues nothing, and tells devices to come again', async () => {
    const device = await vi.waitFor(() => est.bootstrapDevice('dev-fast'), { timeout: 20_000 });
    const grant = await est.grantFor(device);
    const { privateKey } = device.keys;
    const identity = { certificate: device.certificate, privateKey };
    const asked = enrolment({ privateKey }, { basic: ['dev-fast', grant], identity });
    const reply = await call(est, asked, fast.estPort);
    expect(reply.status).toBe(503);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect((await call(est, asked, est.service.estPort)).status).toBe(200);
  });
});

/** Operations go to either replica: one that cannot sign says so, and the next try finds the other. */
async function enrolledThrough(est: EstFixture, deviceId: string): Promise<string> {
  await vi.waitFor(() => enrolledDevice(est, deviceId), { timeout: 20_000, interval: 50 });
  return deviceId;
}
