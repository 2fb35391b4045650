import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCertificate } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';

const go = requireServer('go');
let est: EstFixture;
let folder: string;
let device: EnrolledDevice;
beforeAll(async () => {
  est = await openEstFixture();
  folder = await mkdtemp(join(tmpdir(), 'signet-spiffe-'));
  device = await enrolledDevice(est, 'dev-1');
});
afterAll(async () => {
  await est?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Bundle = { keys: Record<string, unknown>[]; spiffe_sequence: number; spiffe_refresh_hint: number };

async function bundleOf(account: string): Promise<Bundle> {
  const reply = await call(est, { path: `/spiffe/${account}/bundle.json` });
  expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
  return JSON.parse(reply.body) as Bundle;
}

describe('F84: devices as SPIFFE workloads', () => {
  it('an operational certificate has the profile of an X.509-SVID (X509-SVID §2, §4, §5)', () => {
    const { issued } = device;
    expect(issued.sans.uris).toEqual([`spiffe://signet.local/${ACCOUNT}/device/dev-1`]);
    expect(issued.basicConstraints?.ca ?? false).toBe(false);
    expect([...(issued.keyUsage ?? [])]).toEqual(['digitalSignature']);
    const keyUsage = issued.extensions.find(({ oid }) => oid === '2.5.29.15');
    expect(keyUsage?.critical).toBe(true);
  });

  it('the bundle is a JWK set of the CAs that issue to the account, and of no other CA', async () => {
    const { keys, spiffe_sequence, spiffe_refresh_hint } = await bundleOf(ACCOUNT);
    expect(spiffe_refresh_hint).toBe(300);
    expect(spiffe_sequence).toBe(Math.floor(spiffe_sequence));
    expect(spiffe_sequence).toBeGreaterThan(0);
    expect(keys).toHaveLength(1);
    const [key] = keys;
    expect(key).toMatchObject({ use: 'x509-svid', kty: 'EC', crv: 'P-256', x5c: [expect.any(String)] });
    const authority = parseCertificate(Buffer.from(String(key?.x5c), 'base64'));
    expect(authority.subjectKeyId).toBe(device.issued.authorityKeyId);
    expect(authority.publicKey.export({ format: 'jwk' })).toMatchObject({ x: key?.x, y: key?.y });
  });

  it('is not given for what is no account', async () => {
    const reply = await call(est, { path: '/spiffe/NO_ACCOUNT/bundle.json' });
    expect(reply.status).toBe(404);
  });

  describe.skipIf(go === '')('with go-spiffe', () => {
    const peer = async (certificate: string) => {
      const bundle = join(folder, 'bundle.json');
      const leaf = join(folder, `${createHash('sha256').update(certificate).digest('hex')}.pem`);
      await writeFile(bundle, JSON.stringify(await bundleOf(ACCOUNT)));
      await writeFile(leaf, certificate);
      const cwd = join(import.meta.dirname, 'spiffe-peer');
      return run(go, ['run', '.', 'signet.local', bundle, leaf], { cwd });
    };

    it('the bundle validates a device', { timeout: 120_000 }, async () => {
      const { code, stdout, stderr } = await peer(device.issued.pem());
      expect(code, stderr).toBe(0);
      expect(stdout.toString().trim()).toBe(`spiffe://signet.local/${ACCOUNT}/device/dev-1`);
    });

    it('the bundle does not validate a bootstrap certificate', { timeout: 120_000 }, async () => {
      const { code, stderr } = await peer(device.certificate);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/SPIFFE ID|URI SAN/i)]);
    });
  });
});
