import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issueServerCertificate, OperationError } from '@signet/contracts';
import { createTestPki } from '@signet/pki/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Health } from './health.ts';
import {
  type IssueServerCertificate,
  openServerCertificate,
  type ServerCertificateOptions,
} from './server-certificate.ts';
import { openTestFixture, type TestFixture } from './testing/fixture.ts';
import { Ticks } from './ticks.ts';

const names = ['localhost', '127.0.0.1'];
let fixture: TestFixture;
let asked: number;

beforeEach(async () => {
  fixture = await openTestFixture();
  asked = 0;
});
afterEach(() => fixture[Symbol.asyncDispose]());

function options(more: Partial<ServerCertificateOptions> = {}): ServerCertificateOptions {
  const { bus, log, now } = fixture.deps;
  return {
    service: 'bootstrap',
    names,
    dataDir: fixture.dataDir,
    issue(input) {
      asked++;
      return bus.request(issueServerCertificate, input);
    },
    log,
    now,
    ...more,
  };
}

const file = () => join(fixture.dataDir, 'tls', 'bootstrap.pem');

test('the first start asks est-ca once and keeps key and chain in one file that only its owner can read', async () => {
  await using certificate = await openServerCertificate(options());
  expect(asked).toBe(1);
  expect(certificate.leaf.sans).toMatchObject({ dns: ['localhost'], ips: ['127.0.0.1'] });
  expect((await stat(file())).mode & 0o777).toBe(0o600);
  const text = await readFile(file(), 'utf8');
  expect(text.match(/BEGIN PRIVATE KEY/g)).toHaveLength(1);
  expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
});

test('a restart takes up the kept certificate without asking anybody', async () => {
  const first = await openServerCertificate(options());
  await first[Symbol.asyncDispose]();
  const away = () => Promise.reject(new OperationError('unavailable', 'nobody serves it'));
  await using second = await openServerCertificate(options({ issue: away }));
  expect(second.leaf.serialNumber).toBe(first.leaf.serialNumber);
});

test.each([
  ['is for other names', { names: ['est.example.com'] }],
  ['has expired', { now: () => Date.now() + 100 * 86_400_000 }],
] as const)('a restart asks for a new certificate where the kept one %s', async (_why, change) => {
  const first = await openServerCertificate(options());
  await first[Symbol.asyncDispose]();
  await using second = await openServerCertificate(options(change));
  expect(second.leaf.serialNumber).not.toBe(first.leaf.serialNumber);
});

test('a kept file that is damaged is replaced', async () => {
  const first = await openServerCertificate(options());
  await first[Symbol.asyncDispose]();
  await writeFile(file(), 'not PEM');
  await using second = await openServerCertificate(options());
  expect(second.leaf.serialNumber).not.toBe(first.leaf.serialNumber);
});

test('while est-ca is unavailable the start waits and readiness says so; it goes on when est-ca is back', async () => {
  const health = new Health();
  let away = true;
  const { bus } = fixture.deps;
  const opening = openServerCertificate(
    options({
      health,
      issue: (input) => {
        asked++;
        return away
          ? Promise.reject(new OperationError('unavailable', 'nobody serves it'))
          : bus.request(issueServerCertificate, input);
      },
    }),
  );
  await vi.waitFor(() => expect(asked).toBeGreaterThan(1));
  expect((await health.report()).checks['bootstrap.server-certificate']).toEqual({
    ok: false,
    reason: 'no certificate yet',
  });
  away = false;
  await using _certificate = await opening;
  expect((await health.report()).ready).toBe(true);
});

test('a stop ends the wait for the first certificate', async () => {
  const stop = new AbortController();
  const opening = openServerCertificate(
    options({
      signal: stop.signal,
      issue: () => Promise.reject(new OperationError('unavailable', 'nobody serves it')),
    }),
  );
  stop.abort(new Error('stopped by SIGTERM'));
  await expect(opening).rejects.toThrow('stopped by SIGTERM');
});

test('it is renewed at two thirds of its life, with a new key, and listeners hear of it', async () => {
  // The clock stands just before two thirds of 90 days and 5 minutes, and runs.
  const ahead = Date.now() - 300_000 + ((90 * 86_400_000 + 300_000) * 2) / 3 - Date.now() - 1500;
  let jump = 0;
  const first = await openServerCertificate(options());
  await first[Symbol.asyncDispose]();
  jump = ahead;
  await using certificate = await openServerCertificate(options({ now: () => Date.now() + jump }));
  const before = certificate.current();
  expect(certificate.leaf.serialNumber).toBe(first.leaf.serialNumber);
  const renewed = new Promise((resolve) => {
    certificate.onChange((identity) => {
      jump = 0;
      resolve(identity);
    });
  });
  expect(await renewed).toEqual(certificate.current());
  expect(certificate.current().key).not.toBe(before.key);
});

test('it is replaced when the platform has other CAs than those that signed it', async () => {
  await using certificate = await openServerCertificate(options({ trust: fixture.deps.admission.trust }));
  const old = certificate.leaf.authorityKeyId;
  const other = createTestPki();
  const asked = new Promise<void>((resolve) => {
    certificate.onChange(() => resolve());
  });
  fixture.setAuthorities(other.authorities);
  await fixture.deps.admission.trust.refresh();
  await asked;
  expect(old).toBe(fixture.pki.server.certificate.subjectKeyId);
});

const unavailable = () => Promise.reject(new OperationError('unavailable', 'nobody serves it'));
const ended = () => Promise.reject(new OperationError('authority-ended', 'server CA "server" ended'));

test.each([
  ['can give none, since its CA has ended', { issue: ended }],
  ['is unavailable for too long', { issue: unavailable, lastResortAfterMs: 0 }],
])(
  'where est-ca %s, the listener comes up on a self-signed certificate, and readiness names its fingerprint',
  async (_why, more) => {
    const health = new Health();
    await using certificate = await openServerCertificate(options({ health, ...more }));
    const { leaf } = certificate;
    expect(certificate.lastResort()).toBe(leaf.fingerprint);
    expect(leaf.issuerDer).toEqual(leaf.subjectDer);
    expect(leaf.sans).toMatchObject({ dns: ['localhost'], ips: ['127.0.0.1'] });
    const { checks } = await health.report();
    expect(checks['bootstrap.server-certificate']).toMatchObject({
      ok: false,
      reason: expect.stringContaining(`sha256:${leaf.fingerprint}`),
    });
  },
);

test('the certificate of last resort is the same after a restart, and gone once a CA gives one', async () => {
  const first = await openServerCertificate(options({ issue: ended }));
  await first[Symbol.asyncDispose]();
  let isMended = false;
  const { bus } = fixture.deps;
  const ticks = new Ticks();
  await using second = await openServerCertificate(
    options({
      ticks,
      issue: (input) => (isMended ? bus.request(issueServerCertificate, input) : ended()),
    }),
  );
  expect(second.lastResort()).toBe(first.lastResort());
  isMended = true;
  await ticks.fire();
  expect(second.lastResort()).toBeUndefined();
  expect(second.leaf.authorityKeyId).toBe(fixture.pki.server.certificate.subjectKeyId);
  await second[Symbol.asyncDispose]();
  await using third = await openServerCertificate(options({ issue: ended, names: ['other.example.com'] }));
  expect(third.lastResort()).not.toBe(first.lastResort());
});

test.each([
  ['forward past its end', 100],
  ['back before its beginning', -100],
])('a clock that jumps %s has a new certificate in force within a tick', async (_how, days) => {
  let jump = 0;
  const ticks = new Ticks();
  await using certificate = await openServerCertificate(
    options({
      ticks,
      now: () => Date.now() + jump,
      issue: (input) => fixture.deps.bus.request(issueServerCertificate, input),
    }),
  );
  const before = certificate.current();
  await ticks.fire();
  expect(certificate.current()).toBe(before);
  jump = days * 86_400_000;
  await ticks.fire();
  expect(certificate.current()).not.toBe(before);
});

test('one that ends while it is in use gives way to that of last resort for operators, and not for devices', async () => {
  let jump = 0;
  let issue: IssueServerCertificate = (input) => fixture.deps.bus.request(issueServerCertificate, input);
  const ticks = new Ticks();
  const common = { ticks, now: () => Date.now() + jump };
  const asking = { issue: (input: Parameters<typeof issue>[0]) => issue(input) };
  await using operators = await openServerCertificate(
    options({ ...common, ...asking, service: 'admin-api', forOperators: true }),
  );
  await using devices = await openServerCertificate(options({ ...common, ...asking }));
  issue = ended;
  jump = 100 * 86_400_000;
  await ticks.fire();
  expect(operators.lastResort()).toBe(operators.leaf.fingerprint);
  expect(devices.lastResort()).toBeUndefined();
});
