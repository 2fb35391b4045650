import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CrlInput, createCrl, keySigner } from '@signet/pki';
import { createTestPki, type TestAuthority } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CrlFollower, isOlder, keptCrl } from './crl.ts';

const pki = createTestPki();
const issuer = pki.issuing.certificate;
const now = Date.now();
const HOUR = 3_600_000;
let server: Server;
let served: { status: number; body: Uint8Array; etag?: string };
let asked: (string | undefined)[] = [];
let certificate: Parameters<CrlFollower['newer']>[0];

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.headers['if-none-match']);
    const isKnown = served.etag !== undefined && request.headers['if-none-match'] === served.etag;
    response.writeHead(isKnown ? 304 : served.status, served.etag === undefined ? {} : { etag: served.etag });
    response.end(isKnown ? undefined : served.body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { certificate: own } = pki.operational('acme', 'dev-1');
  certificate = Object.assign(Object.create(own), { crlUrls: [`http://127.0.0.1:${port}/issuing.crl`] });
});
afterAll(() => void server.close());

function crl(changes: Partial<CrlInput> = {}, by: TestAuthority = pki.issuing): Promise<Uint8Array> {
  return createCrl({
    issuer: by.certificate,
    signer: keySigner(by.privateKey),
    number: 7,
    thisUpdate: now - HOUR,
    nextUpdate: now + HOUR,
    entries: [],
    ...changes,
  } as CrlInput);
}
async function serve(body: Uint8Array | Promise<Uint8Array>, etag?: string, status = 200) {
  served = { status, body: await body, ...(etag === undefined ? {} : { etag }) };
  asked = [];
}

describe('the CRL of the issuer', () => {
  it('is fetched once, and again when it is another one', async () => {
    const follower = new CrlFollower();
    await serve(crl(), '"one"');
    const first = await follower.newer(certificate, issuer, undefined, { now });
    expect(first).toMatchObject({ number: '7', nextUpdate: Math.floor((now + HOUR) / 1000) * 1000 });
    expect(keptCrl(first?.pem, issuer)).toEqual(first);
    expect(await follower.newer(certificate, issuer, first, { now })).toBeUndefined();
    await serve(crl({ number: 8 }), '"two"');
    expect(await follower.newer(certificate, issuer, first, { now })).toMatchObject({ number: '8' });
    expect(asked).toEqual(['"one"']);
  });

  it.each([
    ['of another CA', () => crl({}, pki.root), 'it is not signed by the issuer of the certificate'],
    ['that has ended', () => crl({ nextUpdate: now - 60_000 }), 'it ended on '],
    ['older than the one that is known', () => crl({ number: 6 }), 'its number 6 is below 7, which is known'],
    ['that is a delta', () => crl({ number: 9, baseNumber: 7 }), 'it is a delta'],
    ['that is none', () => Buffer.from('<html>'), ''],
  ])('%s is refused', async (_name, body, reason) => {
    const follower = new CrlFollower();
    await serve(crl());
    const known = await follower.newer(certificate, issuer, undefined, { now });
    await serve(body());
    await expect(follower.newer(certificate, issuer, known, { now })).rejects.toMatchObject({
      code: 'bad-answer',
      message: expect.stringContaining(`CRL: ${reason}`),
    });
  });

  it('without a number is judged by its time, beside numbered ones and others without', () => {
    const of = (thisUpdate: number, number?: number) =>
      ({ pem: '', number: String(number ?? ''), thisUpdate, nextUpdate: undefined }) as const;
    expect(isOlder({ number: undefined, thisUpdate: now }, of(now - HOUR, 7))).toBe(false);
    expect(isOlder({ number: undefined, thisUpdate: now - HOUR }, of(now, 7))).toBe(true);
    expect(isOlder({ number: undefined, thisUpdate: now - HOUR }, of(now))).toBe(true);
    expect(isOlder({ number: 1n, thisUpdate: now }, of(now - HOUR))).toBe(false);
    expect(isOlder({ number: 6n, thisUpdate: now }, of(now - HOUR, 7))).toBe(true);
  });

  it('that is not there, or larger than a device should keep, is said to be so', async () => {
    const follower = new CrlFollower();
    await serve(Buffer.from('gone'), undefined, 404);
    await expect(follower.newer(certificate, issuer, undefined, { now })).rejects.toMatchObject({
      code: 'refused',
      status: 404,
    });
    await serve(Buffer.alloc(8 * 1024 * 1024 + 1));
    await expect(follower.newer(certificate, issuer, undefined, { now })).rejects.toThrow(
      'CRL: larger than 8388608 bytes',
    );
  });

  it('is not asked for where the certificate names none', async () => {
    const silent = Object.assign(Object.create(certificate), { crlUrls: [] });
    expect(await new CrlFollower().newer(silent, issuer, undefined, { now })).toBeUndefined();
  });
});
