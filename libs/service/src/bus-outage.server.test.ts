import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueServerCertificate, listAuthorities, type SignetEvent } from '@signet/contracts';
import { requireServer } from '@signet/tests/servers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Admission, openAdmission } from './admission.ts';
import { type Backbone, openBackbone } from './backbone.ts';
import { Health } from './health.ts';
import { createLogger } from './logger.ts';
import { openServerCertificate } from './server-certificate.ts';
import { startMetrics } from './telemetry.ts';
import { TestDenyAuthority } from './testing/deny-authority.ts';
import { openTestFixture, type TestFixture } from './testing/fixture.ts';

const natsServer = requireServer('nats-server');
const log = createLogger({ service: 'test', level: 'silent' });

/** A nats-server that can be stopped and started again on its port and its data. */
class Nats {
  readonly port: number;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  start(): void {
    const args = ['-a', '127.0.0.1', '-p', String(this.port), '-js', '-sd', this.#folder];
    this.#process = spawn(natsServer, args, { stdio: 'ignore' });
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

describe.skipIf(natsServer === '')('a device-facing process and a NATS server that goes away', () => {
  let folder: string;
  let nats: Nats;
  let authority: Backbone;
  let fixture: TestFixture;
  let denyAuthority: TestDenyAuthority;
  let device: Backbone;
  let admission: Admission;
  let health: Health;

  const open = (name: string, checks?: Health) =>
    openBackbone({
      store: `sqlite:${join(folder, `${name}.db`)}`,
      bus: nats.url,
      dataDir: join(folder, name),
      name,
      log,
      health: checks,
    });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'signet-outage-'));
    nats = new Nats(await freePort(), join(folder, 'nats'));
    fixture = await openTestFixture();
    health = new Health();
    // Nothing listens yet: both processes start before their bus does.
    [authority, device] = await Promise.all([open('authority'), open('device', health)]);
    admission = await openAdmission({
      bus: device.bus,
      dataDir: join(folder, 'device'),
      trustDomain: fixture.pki.trustDomain,
      log,
      now: Date.now,
      health,
      metrics: startMetrics().metrics,
      staleAfterMs: 3_600_000,
    });
    denyAuthority = new TestDenyAuthority(authority.bus, Date.now);
  });

  afterEach(async () => {
    await admission[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
    await fixture[Symbol.asyncDispose]();
    await nats.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function serve(): Promise<void> {
    const relay = fixture.deps.bus;
    await authority.bus.serve(listAuthorities, (input) => relay.request(listAuthorities, input));
    await authority.bus.serve(issueServerCertificate, (input) =>
      relay.request(issueServerCertificate, input),
    );
    await denyAuthority.serve();
  }

  const ready = () => health.report().then((report) => report.ready);

  test('it starts without its bus, unready, and is ready once the bus is there', async () => {
    const before = await health.report();
    expect(before.ready).toBe(false);
    expect(before.checks.bus?.ok).toBe(false);
    nats.start();
    await serve();
    await vi.waitFor(async () => expect(await ready()).toBe(true), { timeout: 30_000, interval: 100 });
    await using certificate = await openServerCertificate({
      service: 'gateway',
      names: ['localhost'],
      dataDir: join(folder, 'device'),
      issue: device.bus,
      log,
      now: Date.now,
    });
    expect(certificate.leaf.sans.dns).toEqual(['localhost']);
  });

  test('refusals of the time without a bus arrive when it is back, and it is ready again with what it missed', async () => {
    nats.start();
    await serve();
    await vi.waitFor(async () => expect(await ready()).toBe(true), { timeout: 30_000, interval: 100 });
    await nats.stop();
    await vi.waitFor(async () => expect((await health.report()).checks.bus?.ok).toBe(false), {
      timeout: 10_000,
    });
    const startedAt = performance.now();
    for (let n = 0; n < 100; n++)
      admission.refusals.report({
        listener: 'mqtt',
        code: 'no-certificate',
        message: 'certificate: the peer showed none',
        address: `10.0.0.${n}`,
      });
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(admission.denyList.admitting().ok).toBe(true);

    nats.start();
    const seen: SignetEvent[] = [];
    await authority.bus.tail({ types: ['DEVICE_REFUSED'], from: 'start' }, (event) => void seen.push(event));
    await vi.waitFor(() => expect(new Set(seen.map(({ id }) => id)).size).toBe(100), { timeout: 30_000 });
    await denyAuthority.deny({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
    await vi.waitFor(() => expect(admission.denyList.number()).toBe(1), { timeout: 30_000 });
    await vi.waitFor(async () => expect(await ready()).toBe(true), { timeout: 30_000, interval: 100 });
  });
});
