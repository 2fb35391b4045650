import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandCertificate, issueServerCertificate, signRegistration } from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';

const ZLINT = 'github.com/zmap/zlint/v3/cmd/zlint@v3.6.4';
const go = requireServer('go');
const openssl = requireServer('openssl');
let est: EstFixture;
let folder: string;
let device: EnrolledDevice;
beforeAll(async () => {
  if (go === '') return;
  est = await openEstFixture();
  folder = await mkdtemp(join(tmpdir(), 'signet-zlint-'));
  device = await enrolledDevice(est, 'dev-1');
});
afterAll(async () => {
  if (go === '') return;
  await est?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Names of the lints that a certificate breaks, of those that hold for every PKI. */
async function broken(pem: string): Promise<string[]> {
  const path = join(folder, 'certificate.pem');
  await writeFile(path, pem);
  const { code, stdout, stderr } = await run(go, [
    ...['run', ZLINT, '-includeSources', 'RFC5280,RFC5480,Community', path],
  ]);
  expect(code, stderr).toBe(0);
  const results = Object.entries(JSON.parse(stdout.toString()) as Record<string, { result: string }>);
  expect(results.filter(([, { result }]) => result === 'pass').length).toBeGreaterThan(30);
  return results
    .filter(([, { result }]) => !['pass', 'NA', 'NE', 'info'].includes(result))
    .map(([name]) => name);
}

function csrOf(commonName: string): string {
  const { privateKey } = generateKeyPair('P-256');
  return encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName }, privateKey }));
}

/** The certificate of the responder, as it stands in its answer to openssl. */
async function responderOf(pem: string): Promise<string> {
  await writeFile(join(folder, 'device.pem'), pem);
  const issuing = est.fixture.deps.admission.trust.authorities().find(({ kind }) => kind === 'issuing');
  await writeFile(join(folder, 'issuer.pem'), issuing?.certificate ?? '');
  const { stdout } = await run(
    openssl,
    ['ocsp', '-issuer', 'issuer.pem', '-cert', 'device.pem', '-noverify', '-resp_text', '-url'].concat(
      `http://127.0.0.1:${est.service.httpPort}/ocsp`,
    ),
    { cwd: folder },
  );
  const found = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(stdout.toString());
  expect(stdout.toString()).toContain('OCSP Signing');
  return `${found?.[0]}\n`;
}

describe.skipIf(go === '')(
  'certificates under zlint (RFC 5280, RFC 5480, community)',
  { timeout: 300_000 },
  () => {
    it('an operational one breaks nothing', async () => {
      expect(await broken(device.issued.pem())).toEqual([]);
    });

    it('a bootstrap one breaks nothing', async () => {
      expect(await broken(device.certificate)).toEqual([]);
    });

    it('those of the CAs break nothing', async () => {
      for (const { certificate } of est.fixture.deps.admission.trust.authorities())
        expect(await broken(certificate)).toEqual([]);
    });

    it.each([
      ['of names', ['signet.example.com', '*.signet.example.com']],
      ['of names and addresses', ['localhost', '192.0.2.1', '2001:db8::1']],
    ])('one of a server, %s, breaks nothing', async (_, names) => {
      const { bus } = est.fixture.deps;
      const wanted = { service: 'est-ca', csr: csrOf('est-ca'), names };
      expect(await broken((await bus.request(issueServerCertificate, wanted)).certificate)).toEqual([]);
    });

    it.skipIf(openssl === '')('one of an OCSP responder breaks nothing', async () => {
      expect(await broken(await responderOf(device.issued.pem()))).toEqual([]);
    });

    it('one that registers devices, and one that signs commands, break nothing', async () => {
      const { bus } = est.fixture.deps;
      const wanted = { account: ACCOUNT, name: 'line-1', csr: csrOf('line-1'), validityDays: 30 };
      expect(await broken((await bus.request(signRegistration, wanted)).certificate)).toEqual([]);
      expect(await broken((await bus.request(commandCertificate, { account: ACCOUNT })).certificate)).toEqual(
        [],
      );
    });
  },
);
