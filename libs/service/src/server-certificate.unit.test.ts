import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issueServerCertificate, OperationError } from '@signet/contracts';
import { createTestPki } from '@signet/pki/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Health } from './health.ts';
import { openServerCertificate, type ServerCertificateOptions } from './server-certificate.ts';
import { openTestGround, type TestGround } from './testing/ground.ts';

const names = ['localhost', '127.0.0.1'];
let ground: TestGround;
let asked: number;

beforeEach(async () => {
  ground = await openTestGround();
  asked = 0;
});
afterEach(() => ground[Symbol.asyncDispose]());

function options(more: Partial<ServerCertificateOptions> = {}): ServerCertificateOptions {
  const { bus, log, now } = ground.deps;
  return {
    service: 'bootstrap',
    names,
    dataDir: ground.dataDir,
    issue(input) {
      asked++;
      return bus.request(issueServerCertificate, input);
    },
    log,
    now,
    ...more,
  };
}

const file = () => join(ground.dataDir, 'tls', 'bootstrap.pem');

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

test('while est-ca is away the start waits and readiness says so; it goes on when est-ca is back', async () => {
  const health = new Health();
  let away = true;
  const { bus } = ground.deps;
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
  await using certificate = await openServerCertificate(options({ trust: ground.deps.door.trust }));
  const old = certificate.leaf.authorityKeyId;
  const other = createTestPki();
  const asked = new Promise<void>((resolve) => {
    certificate.onChange(() => resolve());
  });
  ground.setAuthorities(other.authorities);
  await ground.deps.door.trust.refresh();
  await asked;
  expect(old).toBe(ground.pki.server.certificate.subjectKeyId);
});
