import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { newEvent, PLATFORM_ACCOUNT } from '@signet/contracts';
import { denyKey } from '@signet/denylist';
import type { TestIdentity } from '@signet/pki/testing';
import { afterEach, expect, test, vi } from 'vitest';
import { startDeviceHttps } from './device-http.ts';
import type { HttpListener } from './http-app.ts';
import { openServerCertificate } from './server-certificate.ts';
import { type FixtureOptions, openTestFixture, type TestFixture } from './testing/fixture.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function open(options: FixtureOptions = {}): Promise<{ fixture: TestFixture; listener: HttpListener }> {
  const fixture = stack.use(await openTestFixture(options));
  const certificate = stack.use(
    await openServerCertificate({
      ...fixture.deps,
      service: 'gateway',
      names: ['localhost', '127.0.0.1'],
      dataDir: fixture.dataDir,
      issue: fixture.deps.bus,
    }),
  );
  const gate = fixture.deps.admission.gate({ listener: 'gateway', purposes: ['operational'] });
  const listener = stack.use(
    await startDeviceHttps({
      ...{ port: 0, host: '127.0.0.1', certificate, gate, log: fixture.deps.log },
      routes: (app) => void app.get('/', async () => 'hello'),
    }),
  );
  return { fixture, listener };
}

/** A keep-alive connection on which a request was answered, so that it is idle now. */
async function idle({ fixture, listener }: Awaited<ReturnType<typeof open>>, { cert, key }: TestIdentity) {
  const { trustAnchors: ca } = fixture.pki;
  const socket: TLSSocket = connect({ host: '127.0.0.1', port: listener.port, ca, cert, key });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
  return socket;
}

test('F77: an idle keep-alive HTTPS connection ends with the change that names it, others stay', async () => {
  const at = await open();
  const socket = await idle(at, at.fixture.pki.operational('acme', 'dev-1'));
  const bystander = await idle(at, at.fixture.pki.operational('acme', 'dev-2'));
  const closed = once(socket, 'close');
  await at.fixture.deny({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
  await closed;
  bystander.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(bystander, 'data');
  bystander.destroy();
});

test('a device that is reset has no session any more, by its id, though nothing of its certificate is denied', async () => {
  const at = await open();
  const { bus, now } = at.fixture.deps;
  const socket = await idle(at, at.fixture.pki.operational('acme', 'dev-1'));
  const bystander = await idle(at, at.fixture.pki.operational('acme', 'dev-2'));
  const data = {
    ...{ deviceId: 'dev-1', fingerprint: 'ab'.repeat(32), deviceSerialNumber: 'dev-1' },
    ...{ from: 'active' as const, to: 'claimed' as const, by: 'ada' },
  };
  await vi.waitFor(
    async () => {
      await bus.publish([newEvent('DEVICE_RESET', { account: 'acme', subject: 'dev-1', data, time: now() })]);
      expect(socket.closed).toBe(true);
    },
    { timeout: 10_000 },
  );
  bystander.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(bystander, 'data');
  bystander.destroy();
});

test('F77: the time to the kick is measured from when the denial was asked for', async () => {
  const at = await open();
  const socket = await idle(at, at.fixture.pki.operational('acme', 'dev-1'));
  const closed = once(socket, 'close');
  const { bus, now } = at.fixture.deps;
  const key = denyKey({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
  const add = [{ key, kind: 'device' as const, reason: 'stolen', expiresAt: 0 }];
  const since = new Date(now() - 7000).toISOString();
  const facts = { account: PLATFORM_ACCOUNT, subject: 'denylist', time: now() };
  await bus.publish([newEvent('DENYLIST_CHANGED', { ...facts, data: { number: 1, add, lift: [], since } })]);
  await closed;
  const metrics = await at.fixture.exposition();
  const sum = /^signet_revocation_to_kick_seconds_sum\{.*\} (\S+)$/m.exec(metrics)?.[1];
  expect(Number(sum)).toBeGreaterThanOrEqual(7);
  expect(Number(sum)).toBeLessThan(12);
});

test('F78: a session ends when its certificate does', async () => {
  const at = await open();
  const identity = at.fixture.pki.operational('acme', 'dev-1', { notAfter: Date.now() + 2000 });
  const socket = await idle(at, identity);
  await once(socket, 'close');
  expect(Date.now()).toBeGreaterThanOrEqual(identity.certificate.notAfter);
});

test('F78: a session ends at the greatest age that is set, though its certificate goes on', async () => {
  const at = await open({ admission: { maxSessionMs: 700 } });
  const started = performance.now();
  const socket = await idle(at, at.fixture.pki.operational('acme', 'dev-1'));
  await once(socket, 'close');
  expect(performance.now() - started).toBeGreaterThanOrEqual(700);
  const again = await idle(at, at.fixture.pki.operational('acme', 'dev-1'));
  again.destroy();
});

test('a listener cut off from the deny list authority for longer than the bound refuses new sessions, keeps live ones and says so', async () => {
  const at = await open({ admission: { staleAfterMs: 1500 } });
  await at.fixture.denyAuthority.sendHead();
  const live = await idle(at, at.fixture.pki.operational('acme', 'dev-1'));
  await vi.waitFor(
    async () => {
      const { ready, checks } = await at.fixture.deps.health.report();
      expect(ready).toBe(false);
      expect(checks['deny-list']?.reason).toMatch(/^deny list: behind its authority for \d+ s \(holds 0/);
    },
    { timeout: 10_000, interval: 50 },
  );
  const { cert, key } = at.fixture.pki.operational('acme', 'dev-2');
  const { trustAnchors: ca } = at.fixture.pki;
  const refused = connect({ host: '127.0.0.1', port: at.listener.port, ca, cert, key });
  refused.on('error', () => {});
  await once(refused, 'secureConnect');
  refused.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [answer] = await once(refused, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 503 [\s\S]*retry-after: /i);
  live.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  expect(String((await once(live, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /);
  await at.fixture.denyAuthority.sendHead();
  const back = await idle(at, at.fixture.pki.operational('acme', 'dev-3'));
  back.destroy();
  live.destroy();
  refused.destroy();
});
