import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listCertificates, releaseCertificate, revokeCertificates } from '@signet/contracts';
import { encodePem, parseCertificatePem, parseCrl, verifyCrlSignature } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';
import { enrolledDevice } from './support/scene.ts';

let time = Date.now();
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture({
    now: () => time,
    env: { SIGNET_EST_CRL_CACHE_SECONDS: '0', SIGNET_EST_CRL_MINUTES: '60' },
  });
});
afterAll(() => est?.[Symbol.asyncDispose]());

async function crl(id = 'issuing', port = est.service.httpPort) {
  const response = await fetch(`http://127.0.0.1:${port}/crl/${id}.crl`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/pkix-crl']);
  return parseCrl(new Uint8Array(await response.arrayBuffer()));
}

describe('the CRL of a CA', () => {
  it('is signed by that CA, keeps its number while nothing changes, and gets a new one at half of its life', async () => {
    const first = await crl();
    const issuing = est.fixture.deps.admission.trust.authorities().find(({ kind }) => kind === 'issuing');
    expect(verifyCrlSignature(first, parseCertificatePem(issuing?.certificate ?? ''))).toBe(true);
    expect((await crl()).number).toBe(first.number);
    time += 31 * 60_000;
    const second = await crl();
    expect(second.number).toBe((first.number ?? 0n) + 1n);
    expect((second.nextUpdate ?? 0) - second.thisUpdate).toBe(3_600_000);
  });

  it('from two replicas: a higher number never lists less, and each number is published once', async () => {
    await using other = await est.startReplica();
    const devices = await Promise.all(Array.from({ length: 6 }, (_, i) => enrolledDevice(est, `dev-${i}`)));
    const seen: Awaited<ReturnType<typeof crl>>[] = [];
    await Promise.all([
      ...devices.map(({ deviceId }) =>
        est.fixture.deps.bus.request(revokeCertificates, { account: ACCOUNT, deviceId, by: 'test' }),
      ),
      ...Array.from({ length: 30 }, async (_, i) => {
        seen.push(await crl('issuing', i % 2 === 0 ? other.httpPort : est.service.httpPort));
      }),
    ]);
    seen.push(await crl());
    const ordered = seen.toSorted((a, b) => Number((a.number ?? 0n) - (b.number ?? 0n)));
    for (const [i, list] of ordered.entries()) {
      const before = new Set(ordered[i - 1]?.entries.map(({ serialNumber }) => serialNumber));
      const now = new Set(list.entries.map(({ serialNumber }) => serialNumber));
      expect(before.isSubsetOf(now)).toBe(true);
    }
    expect(ordered.at(-1)?.entries).toHaveLength(6);
    const numbers = est.events.flatMap((event) =>
      event.type === 'CRL_PUBLISHED' && event.subject === 'issuing' && event.data.delta
        ? [event.data.number]
        : [],
    );
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
    const { items } = await est.fixture.deps.bus.request(listCertificates, { account: ACCOUNT });
    expect(items.filter(({ revokedAt }) => revokedAt !== undefined)).toHaveLength(6);
  });

  it('and the certificate of a CA that is not ours: 404', async () => {
    for (const path of [
      '/crl/other.crl',
      '/ca/other.cer',
      '/crl/issuing.pem',
      '/ca/..%2f..%2fpassphrase.cer',
    ])
      expect((await fetch(`http://127.0.0.1:${est.service.httpPort}${path}`)).status).toBe(404);
  });
});

/** Says whether openssl finds the certificate good with these CRLs, deltas among them. */
async function opensslSays(
  fixture: EstFixture,
  leaf: string,
  ...crls: readonly Uint8Array[]
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'signet-crl-'));
  try {
    const issuing = fixture.fixture.deps.admission.trust.authorities().find(({ kind }) => kind === 'issuing');
    await writeFile(join(folder, 'anchors.pem'), fixture.anchors + (issuing?.certificate ?? ''));
    await writeFile(join(folder, 'leaf.pem'), leaf);
    await writeFile(join(folder, 'crls.pem'), crls.map((der) => encodePem('X509 CRL', der)).join(''));
    const { stdout, stderr } = await run(
      'openssl',
      [
        ...['verify', '-crl_check', '-use_deltas', '-extended_crl', '-CRLfile', 'crls.pem'],
        ...['-attime', String(Math.floor(time / 1000) + 1), '-CAfile', 'anchors.pem', 'leaf.pem'],
      ],
      { cwd: folder },
    );
    return stdout.toString() + stderr;
  } finally {
    await rm(folder, { recursive: true });
  }
}

const der = async (url: string) => new Uint8Array(await (await fetch(url)).arrayBuffer());

describe('a delta CRL', () => {
  it('lists a revocation within a second; openssl then refuses the certificate, with an older complete CRL too', async () => {
    const device = await enrolledDevice(est, 'dev-delta');
    const base = `http://127.0.0.1:${est.service.httpPort}/crl/issuing`;
    const before = await der(`${base}.crl`);
    const { issued } = device;
    expect(await opensslSays(est, issued.pem(), before, await der(`${base}.delta.crl`))).toContain(': OK');
    time += 2000;
    await est.fixture.deps.bus.request(revokeCertificates, {
      account: ACCOUNT,
      serialNumber: issued.serialNumber,
      reason: 'certificateHold',
      by: 'test',
    });
    const revokedAt = performance.now();
    await vi.waitFor(
      () => {
        const numbers = est.events.flatMap(({ type, data }) =>
          type === 'CRL_PUBLISHED' && data.delta && data.authorityId === 'issuing' ? [data.number] : [],
        );
        expect(Math.max(...numbers)).toBeGreaterThan(Number(parseCrl(before).number));
      },
      { interval: 20, timeout: 5000 },
    );
    expect(performance.now() - revokedAt).toBeLessThan(1000);
    const delta = await der(`${base}.delta.crl`);
    expect(parseCrl(delta).entries.at(-1)).toMatchObject({
      serialNumber: issued.serialNumber,
      reason: 'certificateHold',
    });
    expect(await opensslSays(est, issued.pem(), before, delta)).toMatch(/certificate revoked/);
    expect(await opensslSays(est, issued.pem(), await der(`${base}.crl`))).toMatch(/certificate revoked/);
  });

  it('takes it off again once an operator lifts the hold; what is revoked for good stays', async () => {
    const { bus } = est.fixture.deps;
    const { items } = await bus.request(listCertificates, { account: ACCOUNT, deviceId: 'dev-delta' });
    const [held] = items;
    if (held === undefined) throw new Error('no certificate');
    const { serialNumber } = held;
    const base = `http://127.0.0.1:${est.service.httpPort}/crl/issuing`;
    const listing = await der(`${base}.crl`);
    time += 2000;
    const release = () => bus.request(releaseCertificate, { account: ACCOUNT, serialNumber, by: 'test' });
    expect(await release()).toEqual({ released: true });
    expect(await release()).toEqual({ released: false });
    await vi.waitFor(async () => {
      expect(parseCrl(await der(`${base}.delta.crl`)).entries.at(-1)).toMatchObject({
        serialNumber,
        reason: 'removeFromCRL',
      });
    });
    const delta = await der(`${base}.delta.crl`);
    expect(await opensslSays(est, held.certificate, listing, delta)).toContain(': OK');
    await bus.request(revokeCertificates, { account: ACCOUNT, serialNumber, by: 'test' });
    await expect(release()).rejects.toMatchObject({ code: 'not-on-hold' });
    await expect(
      bus.request(releaseCertificate, { account: 'rival', serialNumber, by: 'test' }),
    ).rejects.toMatchObject({ code: 'unknown-certificate' });
  });
});

describe('the files of a CA', () => {
  it('come with type, ETag and Cache-Control, and as 304 to who has them', async () => {
    for (const [path, type] of [
      ['crl/issuing.crl', 'application/pkix-crl'],
      ['crl/issuing.delta.crl', 'application/pkix-crl'],
      ['ca/issuing.cer', 'application/pkix-cert'],
    ]) {
      const url = `http://127.0.0.1:${est.service.httpPort}/${path}`;
      const first = await fetch(url);
      expect([first.status, first.headers.get('content-type')]).toEqual([200, type]);
      expect(first.headers.get('cache-control')).toMatch(/^public, max-age=\d+, must-revalidate$/);
      const tag = first.headers.get('etag') ?? '';
      expect(tag).toMatch(/^"[\w-]+"$/);
      const again = await fetch(url, { headers: { 'If-None-Match': `"other", ${tag}` } });
      expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', tag]);
      expect((await fetch(url, { headers: { 'If-None-Match': '"other"' } })).status).toBe(200);
      const made = first.headers.get('last-modified');
      if (made === null) continue;
      const since = (date: string, more = {}) =>
        fetch(url, { headers: { 'If-Modified-Since': date, ...more } }).then(({ status }) => status);
      // of its first seconds nobody knows which one he has
      expect(await since(made)).toBe(200);
      const modified = new Date(Date.parse(made) + 61_000).toUTCString();
      expect(await since(modified)).toBe(304);
      expect(await since('yesterday')).toBe(200);
      // RFC 9110 §13.1.3: where If-None-Match comes, the date is not looked at
      expect(await since(modified, { 'If-None-Match': '"other"' })).toBe(200);
    }
  });
});

describe('a CRL in partitions', () => {
  it('is named in the certificates, and is what openssl checks them with', async () => {
    time = Date.now();
    await using split = await openEstFixture({
      now: () => time,
      env: { SIGNET_EST_CRL_PARTITIONS: '4', SIGNET_EST_CRL_CACHE_SECONDS: '0' },
    });
    const [good, bad] = [await enrolledDevice(split, 'dev-a'), await enrolledDevice(split, 'dev-b')];
    await split.fixture.deps.bus.request(revokeCertificates, {
      account: ACCOUNT,
      deviceId: 'dev-b',
      by: 'test',
    });
    for (const { issued } of [good, bad]) {
      const [url = ''] = issued.crlUrls;
      const partition = Number.parseInt(issued.serialNumber.slice(-1), 16) % 4;
      expect(url).toBe(`http://localhost:${split.service.httpPort}/crl/issuing.4.${partition}.crl`);
      const said = await opensslSays(split, issued.pem(), await der(url));
      expect(said).toMatch(issued === good.issued ? /: OK/ : /certificate revoked/);
    }
  });
});
