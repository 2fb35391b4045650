import { execFileSync } from 'node:child_process';
import { createHash, webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTemplate, exportSpki, generateKeyPair, issue, keySigner, prepare } from '@signet/pki';
import { createTestPki } from '@signet/pki/testing';
import * as asn1js from 'asn1js';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOcspFailure, createOcspResponse, type OcspResponder } from './create-response.ts';
import { issuerFinder } from './issuer-ids.ts';
import type { OcspStatus } from './ocsp.ts';
import { parseOcspRequest } from './parse-request.ts';

const now = Math.floor(Date.now() / 1000) * 1000;
const pki = createTestPki({ now });
const { issuing, factory } = pki;
let responder: OcspResponder;
beforeAll(async () => {
  const signer = keySigner(generateKeyPair('P-256').privateKey);
  const template = createTemplate({ kind: 'ocsp', issuer: issuing.certificate });
  const linted = prepare(template, {
    subject: { commonName: 'Test OCSP responder' },
    spkiDer: exportSpki(signer.publicKey),
    issuedAt: now,
    notAfter: now + 86_400_000,
  });
  responder = { signer, certificate: await issue(linted, issuing.signer) };
});

const directory = mkdtempSync(join(tmpdir(), 'signet-ocsp-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(directory, name), content);
  return join(directory, name);
};

const hashes = { sha1: '1.3.14.3.2.26', sha256: '2.16.840.1.101.3.4.2.1' } as const;

/** A request as pkijs makes it. */
function theirRequest(
  serials: readonly Uint8Array[],
  options: {
    readonly hash?: keyof typeof hashes;
    readonly nonce?: ArrayBuffer;
    readonly critical?: string;
  } = {},
): Uint8Array {
  const { hash = 'sha1', nonce, critical } = options;
  const digest = (data: Uint8Array) => createHash(hash).update(data).digest();
  const spki = pkijs.PublicKeyInfo.fromBER(Uint8Array.from(issuing.certificate.spkiDer).buffer);
  const bits = spki.subjectPublicKey.valueBlock.valueHexView;
  const request = new pkijs.OCSPRequest({
    tbsRequest: new pkijs.TBSRequest({
      requestList: serials.map(
        (serial) =>
          new pkijs.Request({
            reqCert: new pkijs.CertID({
              hashAlgorithm: new pkijs.AlgorithmIdentifier({
                algorithmId: hashes[hash],
                algorithmParams: new asn1js.Null(),
              }),
              issuerNameHash: new asn1js.OctetString({ valueHex: digest(issuing.certificate.subjectDer) }),
              issuerKeyHash: new asn1js.OctetString({ valueHex: digest(bits) }),
              serialNumber: new asn1js.Integer({ valueHex: Uint8Array.from([0x5a, ...serial]).buffer }),
            }),
          }),
      ),
      requestExtensions: [
        ...(nonce === undefined
          ? []
          : [
              new pkijs.Extension({
                extnID: '1.3.6.1.5.5.7.48.1.2',
                extnValue: new asn1js.OctetString({ valueHex: nonce }).toBER(),
              }),
            ]),
        ...(critical === undefined
          ? []
          : [
              new pkijs.Extension({ extnID: critical, critical: true, extnValue: new asn1js.Null().toBER() }),
            ]),
      ],
    }),
  });
  return new Uint8Array(request.toSchema(true).toBER());
}

const answer = (status: OcspStatus, request: Uint8Array) => {
  const { certIds, nonce } = parseOcspRequest(request);
  return createOcspResponse(responder, {
    answers: certIds.map((certId) => ({ certId, status })),
    nonce,
    producedAt: now,
    thisUpdate: now,
    nextUpdate: now + 3_600_000,
  });
};

describe('an OCSP request', () => {
  it('of pkijs is read, whatever its serial numbers, hash and nonce (RFC 6960 §4.1, RFC 9654)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 18 }), { minLength: 1, maxLength: 16 }),
        fc.constantFrom('sha1' as const, 'sha256' as const),
        fc.option(fc.uint8Array({ minLength: 1, maxLength: 128 }), { nil: undefined }),
        (serials, hash, octets) => {
          const nonce = octets === undefined ? {} : { nonce: Uint8Array.from(octets).buffer };
          const request = parseOcspRequest(theirRequest(serials, { hash, ...nonce }));
          expect(request.certIds.map(({ serialNumber }) => serialNumber)).toEqual(
            serials.map((serial) => `5a${Buffer.from(serial).toString('hex')}`),
          );
          expect(request.nonce).toEqual(octets);
          const find = issuerFinder([factory, issuing]);
          for (const certId of request.certIds) expect(find(certId)).toBe(issuing);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('whose nonce is empty or longer than 128 bytes is malformed (RFC 9654 §2.1)', () => {
    for (const length of [0, 129])
      expect(() =>
        parseOcspRequest(theirRequest([Uint8Array.of(1)], { nonce: new ArrayBuffer(length) })),
      ).toThrow(
        expect.objectContaining({
          code: 'malformed',
          message: `nonce: ${length} bytes, 1 to 128 are allowed`,
        }),
      );
  });

  it('for nothing, for 17 certificates, with an unknown critical extension, or cut short is malformed', () => {
    const serial = Uint8Array.of(1);
    for (const [request, message] of [
      [theirRequest([]), 'requestList: empty'],
      [theirRequest(new Array(17).fill(serial)), 'requestList: more than 16 certificates'],
      [theirRequest([serial], { critical: '1.2.3.4' }), 'extensions: 1.2.3.4 is critical and not known'],
      [theirRequest([serial]).subarray(0, -1), 'OCSPRequest: truncated'],
    ] as const)
      expect(() => parseOcspRequest(request)).toThrow(
        expect.objectContaining({ code: 'malformed', message }),
      );
    expect(() => parseOcspRequest(new Uint8Array(9000))).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
  });
});

describe('an OCSP answer', () => {
  it('is verified by pkijs and says what went in (RFC 6960 §4.2)', async () => {
    pkijs.setEngine('node', new pkijs.CryptoEngine({ name: 'node', crypto: webcrypto as typeof crypto }));
    const theirs = (pem: Uint8Array) => pkijs.Certificate.fromBER(Uint8Array.from(pem).buffer);
    const nonce = Uint8Array.of(1, 2, 3).buffer;
    const statuses: readonly [OcspStatus, number][] = [
      [{ status: 'good' }, 0],
      [{ status: 'revoked', revokedAt: now - 1000, reason: 'keyCompromise' }, 1],
      [{ status: 'unknown' }, 2],
    ];
    for (const [status, code] of statuses) {
      const response = pkijs.OCSPResponse.fromBER(
        Uint8Array.from(await answer(status, theirRequest([Uint8Array.of(7)], { nonce }))).buffer,
      );
      const bytes = response.responseBytes?.response.valueBlock.valueHexView ?? new Uint8Array();
      const basic = pkijs.BasicOCSPResponse.fromBER(Uint8Array.from(bytes).buffer);
      const trustedCerts = [theirs(pki.root.certificate.der), theirs(issuing.certificate.der)];
      expect(await basic.verify({ trustedCerts })).toBe(true);
      const [single] = basic.tbsResponseData.responses;
      expect(single?.certStatus.idBlock.tagNumber).toBe(code);
      expect(single?.thisUpdate.getTime()).toBe(now);
      expect(basic.tbsResponseData.responseExtensions?.[0]?.extnValue.valueBlock.valueHexView).toEqual(
        Uint8Array.of(4, 3, 1, 2, 3),
      );
    }
  });

  it('is verified by openssl against the CA alone', async () => {
    const device = pki.operational('acme', 'dev-1');
    const issuer = file('issuer.pem', issuing.pem);
    const ask = ['ocsp', '-issuer', issuer, '-cert', file('leaf.pem', device.cert)];
    execFileSync('openssl', [...ask, '-no_nonce', '-reqout', join(directory, 'request.der')]);
    const request = readFileSync(join(directory, 'request.der'));
    const anchors = file('anchors.pem', pki.root.pem + issuing.pem);
    const told = async (status: OcspStatus) => {
      const response = file('response.der', await answer(status, request));
      return execFileSync('openssl', [...ask, '-no_nonce', '-respin', response, '-CAfile', anchors], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
    };
    expect(await told({ status: 'good' })).toMatch(/leaf\.pem: good/);
    expect(await told({ status: 'revoked', revokedAt: now - 5000, reason: 'superseded' })).toMatch(
      /leaf\.pem: revoked[\s\S]*Reason: superseded/,
    );
  });

  it('that is a failure has no more than its status (RFC 6960 §4.2.1)', () => {
    expect([...createOcspFailure('unauthorized')]).toEqual([0x30, 3, 0x0a, 1, 6]);
    expect([...createOcspFailure('tryLater')]).toEqual([0x30, 3, 0x0a, 1, 3]);
  });

  it('is not made by a responder whose key is not that of its certificate', async () => {
    const other = { ...responder, signer: keySigner(generateKeyPair('P-256').privateKey) };
    await expect(
      createOcspResponse(other, {
        answers: [],
        producedAt: now,
        thisUpdate: now,
        nextUpdate: now + 1000,
      }),
    ).rejects.toMatchObject({ code: 'signer-failed' });
  });
});
