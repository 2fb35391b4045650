import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EstGround, openEstGround } from './support/est-ground.ts';
import { run } from './support/run.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';

const ZLINT = 'github.com/zmap/zlint/v3/cmd/zlint@v3.6.4';
const go = requireServer('go');
let est: EstGround;
let folder: string;
let device: EnrolledDevice;
beforeAll(async () => {
  if (go === '') return;
  est = await openEstGround();
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
      for (const { certificate } of est.ground.deps.door.trust.authorities())
        expect(await broken(certificate)).toEqual([]);
    });
  },
);
