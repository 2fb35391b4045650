import { createPrivateKey, generateKeyPairSync, hash, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseCertificate, verifyCertificateSignature } from './certificate.ts';
import { parseCrl, verifyCrlSignature } from './crl/parse-crl.ts';
import { parseCsr, verifyCsr } from './csr.ts';
import { constructed, TAG } from './der/tags.ts';
import { bitString, der, nullValue, octetString, oid, sequence, smallInteger } from './der/writer.ts';
import { canonicalSpki, exportSpki, loadPublicKey, parseKey, publicKeyHash } from './keys.ts';
import { encodeName } from './name.ts';
import { parseOcspRequest } from './ocsp/parse-request.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const spki = exportSpki(publicKey);
/** As some builders write it: without the NULL beside rsaEncryption. */
const bareSpki = sequence(
  sequence(oid('1.2.840.113549.1.1.1')),
  bitString(publicKey.export({ type: 'pkcs1', format: 'der' })),
);
const SHA256_RSA = '1.2.840.113549.1.1.11';
const algorithms = { bare: sequence(oid(SHA256_RSA)), full: sequence(oid(SHA256_RSA), nullValue()) };
const subject = encodeName({ commonName: 'dev-1' });
const time = (text: string) => der(TAG.UTC_TIME, Buffer.from(text));

function signed(tbs: Uint8Array, algorithm: Uint8Array): Uint8Array {
  return sequence(tbs, algorithm, bitString(sign('sha256', tbs, privateKey)));
}
function certificateOf(algorithm: Uint8Array, key = bareSpki): Uint8Array {
  const validity = sequence(time('260101000000Z'), time('460101000000Z'));
  const version = der(constructed(0), smallInteger(2));
  return signed(sequence(version, smallInteger(7), algorithm, subject, validity, subject, key), algorithm);
}

describe.each(['bare', 'full'] as const)('RSA with parameters %s (RFC 4055 §5)', (kind) => {
  const algorithm = algorithms[kind];

  it('is accepted in a CSR, for its key and its signature', () => {
    const info = sequence(smallInteger(0), subject, kind === 'bare' ? bareSpki : spki, der(constructed(0)));
    const csr = parseCsr(signed(info, algorithm));
    expect(() => verifyCsr(csr)).not.toThrow();
    expect(csr.publicKeyHash).toBe(publicKeyHash(spki));
    expect(Buffer.from(csr.spkiDer).equals(spki)).toBe(true);
  });

  it('is accepted in a certificate', () => {
    const certificate = parseCertificate(certificateOf(algorithm, kind === 'bare' ? bareSpki : spki));
    expect(verifyCertificateSignature(certificate, certificate)).toBe(true);
    expect(certificate.publicKeyHash).toBe(publicKeyHash(spki));
  });

  it('is accepted in a CRL', () => {
    const issuer = parseCertificate(certificateOf(algorithm));
    const tbs = sequence(smallInteger(1), algorithm, subject, time('260101000000Z'), time('260201000000Z'));
    expect(verifyCrlSignature(parseCrl(signed(tbs, algorithm)), issuer)).toBe(true);
  });
});

describe('a key names itself in one way', () => {
  it('whether its NULL is there or not: a key on the deny list does not come back without it', () => {
    expect(parseKey(bareSpki).type).toBe(parseKey(spki).type);
    expect(publicKeyHash(bareSpki)).toBe(publicKeyHash(spki));
    expect(Buffer.from(canonicalSpki(bareSpki)).equals(spki)).toBe(true);
    expect(loadPublicKey(bareSpki).equals(publicKey)).toBe(true);
  });

  it('and no other parameters, nor others of another kind of key', () => {
    const odd = sequence(
      sequence(oid('1.2.840.113549.1.1.1'), smallInteger(1)),
      bitString(publicKey.export({ type: 'pkcs1', format: 'der' })),
    );
    expect(() => parseKey(odd)).toThrow(/parameters/);
    const ec = exportSpki(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
    expect(canonicalSpki(ec)).toBe(ec);
  });
});

describe('what others make besides', () => {
  it.each(['bare', 'full'] as const)('an OCSP request whose hash has parameters %s is read', (kind) => {
    const sha1 = oid('1.3.14.3.2.26');
    const certId = sequence(
      kind === 'bare' ? sequence(sha1) : sequence(sha1, nullValue()),
      octetString(hash('sha1', subject, 'buffer')),
      octetString(hash('sha1', spki, 'buffer')),
      smallInteger(7),
    );
    const request = sequence(sequence(sequence(sequence(certId))));
    expect(parseOcspRequest(request).certIds).toMatchObject([{ hash: 'sha1', serialNumber: '07' }]);
  });

  it('a PKCS#8 key without them is loaded', () => {
    const pkcs1 = privateKey.export({ type: 'pkcs1', format: 'der' });
    const pkcs8 = sequence(smallInteger(0), sequence(oid('1.2.840.113549.1.1.1')), octetString(pkcs1));
    const key = createPrivateKey({ key: Buffer.from(pkcs8), type: 'pkcs8', format: 'der' });
    expect(key.equals(privateKey)).toBe(true);
  });
});
