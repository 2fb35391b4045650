import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { revokeCertificates } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';

let time = Date.now();
let est: EstFixture;
let folder: string;
let device: EnrolledDevice;
beforeAll(async () => {
  est = await openEstFixture({ now: () => time });
  folder = await mkdtemp(join(tmpdir(), 'signet-ocsp-'));
  const pem = (kind: string) =>
    est.fixture.deps.admission.trust.authorities().find((authority) => authority.kind === kind)
      ?.certificate ?? '';
  await writeFile(join(folder, 'issuer.pem'), pem('issuing'));
  await writeFile(join(folder, 'factory.pem'), pem('factory'));
  await writeFile(join(folder, 'anchors.pem'), est.anchors);
  device = await enrolledDevice(est, 'dev-ocsp');
  await writeFile(join(folder, 'dev.pem'), device.issued.pem());
});
afterAll(async () => {
  await est?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

const url = () => `http://127.0.0.1:${est.service.httpPort}/ocsp`;

async function openssl(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run('openssl', ['ocsp', ...args], { cwd: folder });
  return stdout.toString() + stderr;
}

const ask = (...more: readonly string[]) =>
  openssl(...more, '-issuer', 'issuer.pem', '-cert', 'dev.pem', '-CAfile', 'anchors.pem', '-url', url());

/** A request as openssl makes it. */
async function requestOf(...args: readonly string[]): Promise<Buffer> {
  await openssl(...args, '-reqout', 'request.der');
  return readFile(join(folder, 'request.der'));
}

const post = (body: Uint8Array, type = 'application/ocsp-request') =>
  fetch(url(), { method: 'POST', body, headers: { 'Content-Type': type } });
const getPath = (request: Buffer) => `${url()}/${encodeURIComponent(request.toString('base64'))}`;

/** The OCSPResponseStatus of an answer that has nothing else. */
async function failureOf(response: Response): Promise<number | undefined> {
  const bytes = [...new Uint8Array(await response.arrayBuffer())];
  expect(bytes.slice(0, 4)).toEqual([0x30, 3, 0x0a, 1]);
  return bytes[4];
}

describe('OCSP', () => {
  it('is where the certificate says (RFC 5280 §4.2.2.1)', () => {
    expect(device.issued.ocspUrls).toEqual([`http://localhost:${est.service.httpPort}/ocsp`]);
  });

  it('tells openssl that a certificate is good, with a nonce and without, signed by a responder of its CA', async () => {
    for (const more of [['-nonce'], ['-no_nonce']]) {
      const said = await ask(...more, '-resp_text');
      expect(said).toContain('Response verify OK');
      expect(said).toMatch(/dev\.pem: good/);
      expect(said).toMatch(/OCSP No Check/);
      expect(said).toMatch(/OCSP Signing/);
      expect(said.includes('OCSP Nonce')).toBe(more[0] === '-nonce');
    }
    expect(await ask('-sha256', '-nonce')).toMatch(/good[\s\S]*Response verify OK/);
  });

  it('by GET may be kept, and is told apart by its ETag (RFC 5019 §5, §6)', async () => {
    const request = await requestOf('-no_nonce', '-issuer', 'issuer.pem', '-cert', 'dev.pem');
    const first = await fetch(getPath(request));
    expect(first.status).toBe(200);
    expect(first.headers.get('content-type')).toBe('application/ocsp-response');
    expect(first.headers.get('cache-control')).toBe('max-age=300, public, no-transform, must-revalidate');
    for (const header of ['last-modified', 'expires', 'etag']) expect(first.headers.get(header)).toBeTruthy();
    const body = Buffer.from(await first.arrayBuffer());
    await writeFile(join(folder, 'get.der'), body);
    const said = await openssl(
      ...['-issuer', 'issuer.pem', '-cert', 'dev.pem', '-no_nonce', '-respin', 'get.der'],
      ...['-CAfile', 'anchors.pem'],
    );
    expect(said).toMatch(/good[\s\S]*Response verify OK/);

    const again = await fetch(getPath(request));
    expect(Buffer.from(await again.arrayBuffer()).equals(body)).toBe(true);
    const unescaped = await fetch(`${url()}/${request.toString('base64')}`);
    expect(unescaped.status).toBe(200);
    const known = await fetch(getPath(request), {
      headers: { 'If-None-Match': first.headers.get('etag') ?? '' },
    });
    expect([known.status, await known.text()]).toEqual([304, '']);
    const modified = first.headers.get('last-modified') ?? '';
    const since = (date: string) =>
      fetch(getPath(request), { headers: { 'If-Modified-Since': date } }).then(({ status }) => status);
    expect(await since(modified)).toBe(304);
    expect(await since(new Date(Date.parse(modified) - 1000).toUTCString())).toBe(200);
  });

  it('with a nonce is answered for this once (RFC 9654 §2.1)', async () => {
    const request = await requestOf('-nonce', '-issuer', 'issuer.pem', '-cert', 'dev.pem');
    const response = await post(request);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('etag')).toBeNull();
  });

  it('calls a serial number that was never given unknown, and an issuer that is not ours unauthorized', async () => {
    expect(
      await openssl(
        ...['-issuer', 'issuer.pem', '-serial', '0x1234567890', '-CAfile', 'anchors.pem', '-url', url()],
      ),
    ).toMatch(/0x1234567890: unknown/);
    const foreign = await requestOf('-no_nonce', '-issuer', 'factory.pem', '-serial', '0x1234');
    expect(await failureOf(await post(foreign))).toBe(6);
  });

  it('refuses what is no request: malformedRequest, or HTTP 405, 413 and 415', async () => {
    expect(await failureOf(await post(Buffer.from('nonsense')))).toBe(1);
    expect(await failureOf(await fetch(`${url()}/%ff`))).toBe(1);
    expect(await failureOf(await fetch(`${url()}/AAAA`))).toBe(1);
    expect((await post(Buffer.from('x'), 'text/plain')).status).toBe(415);
    expect((await post(Buffer.alloc(9000))).status).toBe(413);
    expect((await fetch(url(), { method: 'PUT' })).status).toBe(405);
    expect((await fetch(`${url()}other`)).status).toBe(404);
  });

  it('says revoked as soon as it is, on every replica, whatever was kept', async () => {
    await using other = await est.startReplica();
    const revoked = await enrolledDevice(est, 'dev-revoked');
    await writeFile(join(folder, 'revoked.pem'), revoked.issued.pem());
    const request = await requestOf('-no_nonce', '-issuer', 'issuer.pem', '-cert', 'revoked.pem');
    const path = encodeURIComponent(request.toString('base64'));
    const ports = [est.service.httpPort, other.httpPort];
    const answers = () =>
      Promise.all(
        ports.map(async (port) => {
          const response = await fetch(`http://127.0.0.1:${port}/ocsp/${path}`);
          await writeFile(join(folder, `${port}.der`), Buffer.from(await response.arrayBuffer()));
          return openssl(
            ...['-issuer', 'issuer.pem', '-cert', 'revoked.pem', '-no_nonce', '-respin', `${port}.der`],
            ...['-CAfile', 'anchors.pem'],
          );
        }),
      );
    for (const said of await answers()) expect(said).toMatch(/revoked\.pem: good/);
    await est.fixture.deps.bus.request(revokeCertificates, {
      account: ACCOUNT,
      deviceId: 'dev-revoked',
      reason: 'keyCompromise',
      by: 'test',
    });
    await vi.waitFor(async () => {
      for (const said of await answers())
        expect(said).toMatch(/revoked\.pem: revoked[\s\S]*Reason: keyCompromise/);
    });
  });

  it('renews the certificate of its responder by itself, long before that ends', async () => {
    const certificateOf = async () => {
      const said = await ask('-nonce', '-resp_text');
      const pem = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(said)?.[0] ?? '';
      return parseCertificatePem(pem);
    };
    const first = await certificateOf();
    expect(first.extKeyUsage).toEqual(['1.3.6.1.5.5.7.3.9']);
    expect(first.notAfter - time).toBeLessThanOrEqual(7 * 86_400_000);
    time += 4 * 86_400_000;
    const second = await certificateOf();
    expect(second.notAfter).toBeGreaterThan(first.notAfter);
    expect(second.publicKeyHash).toBe(first.publicKeyHash);
  });
});
