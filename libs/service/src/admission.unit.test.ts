import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { openAdmission } from './admission.ts';
import { Health } from './health.ts';
import { startMetrics } from './telemetry.ts';
import { openTestFixture } from './testing/fixture.ts';
import { openTrust } from './trust.ts';

test('until CAs and deny list are loaded admission is not ready, and says which is missing', async () => {
  await using fixture = await openTestFixture({ serve: [], loaded: false });
  const { checks, ready } = await fixture.deps.health.report();
  expect(ready).toBe(false);
  expect(checks.trust).toEqual({ ok: false, reason: 'no CA is pinned yet' });
  expect(checks['deny-list']?.reason).toContain('not loaded');
});

test('F11: a process that restarts with the bus cut pins its CAs and loads its deny list from disk', async () => {
  await using fixture = await openTestFixture();
  await fixture.deny({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
  await vi.waitFor(() => expect(fixture.deps.admission.denyList.number()).toBe(1));
  await fixture.deps.admission[Symbol.asyncDispose]();
  await fixture.backbone.bus[Symbol.asyncDispose]();

  const health = new Health();
  await using admission = await openAdmission({
    ...fixture.deps,
    health,
    metrics: startMetrics().metrics,
    dataDir: fixture.dataDir,
    trustDomain: fixture.pki.trustDomain,
  });
  await admission.denyList.whenLoaded();
  expect(admission.trust.loaded).toBe(true);
  expect(admission.trust.issuers().size).toBe(fixture.pki.authorities.length);
  expect(admission.denyList.number()).toBe(1);
  expect(admission.denyList.admitting().ok).toBe(true);
});

test('a new CA is pinned as soon as est-ca announces it, and the copy on disk follows', async () => {
  await using fixture = await openTestFixture();
  const { trust } = fixture.deps.admission;
  const added = fixture.pki.authority({ account: 'newcomer' });
  const changed = new Promise<number>((resolve) => {
    trust.onChange((authorities) => resolve(authorities.length));
  });
  fixture.setAuthorities([...fixture.pki.authorities, added]);
  await fixture.announce(added);
  expect(await changed).toBe(fixture.pki.authorities.length + 1);
  await vi.waitFor(async () => {
    const copy = await readFile(join(fixture.dataDir, 'authorities.json'), 'utf8');
    expect(copy).toContain('newcomer');
  });
  expect(trust.anchors()).toEqual([fixture.pki.root.pem]);
});

test('an answer without any CA, as from an est-ca that just starts, never empties the trust', async () => {
  await using fixture = await openTestFixture();
  fixture.setAuthorities([]);
  await fixture.deps.admission.trust.refresh();
  expect(fixture.deps.admission.trust.issuers().size).toBe(fixture.pki.authorities.length);
});

test('a damaged copy on disk is said in the log and replaced by what est-ca lists', async () => {
  await using fixture = await openTestFixture();
  const dataDir = join(fixture.dataDir, 'other');
  const { mkdir, writeFile } = await import('node:fs/promises');
  await mkdir(dataDir);
  await writeFile(join(dataDir, 'authorities.json'), '{"authorities":[{}]}');
  await using trust = await openTrust({
    ...{ bus: fixture.deps.bus, dataDir, log: fixture.deps.log, trustDomain: fixture.pki.trustDomain },
  });
  expect(trust.loaded).toBe(false);
  await trust.whenLoaded();
  expect(trust.issuers().size).toBe(fixture.pki.authorities.length);
});
