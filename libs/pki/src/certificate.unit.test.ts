import { createPublicKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as oracle from '../test/peculiar.ts';
import { parseCertificate, parseCertificatePem, verifyCertificateSignature } from './certificate.ts';
import { constructed, TAG } from './der/tags.ts';
import { encodeTime } from './der/time.ts';
import {
  bitString,
  boolean,
  der,
  nullValue,
  octetString,
  oid,
  sequence,
  smallInteger,
  unsignedInteger,
} from './der/writer.ts';
import { exportSpki, generateKeyPair } from './keys.ts';
import { encodeName } from './name.ts';
import { encodePem } from './pem.ts';
import { PkiError } from './pki-error.ts';

const pair = generateKeyPair('P-256');
const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

type Parts = {
  readonly serial?: Uint8Array;
  readonly inner?: Uint8Array;
  readonly version?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
};

/** A certificate from parts; whatever is not given is right. */
function certificateOf(parts: Parts): Uint8Array {
  const name = encodeName({ commonName: 'x' });
  const tbs = sequence(
    parts.version ?? der(constructed(0), smallInteger(2)),
    parts.serial ?? smallInteger(77),
    parts.inner ?? ECDSA_SHA256,
    name,
    sequence(encodeTime(0), encodeTime(1e12)),
    name,
    exportSpki(pair.publicKey),
    ...(parts.extensions === undefined ? [] : [der(constructed(3), sequence(...parts.extensions))]),
  );
  return sequence(tbs, ECDSA_SHA256, bitString(sign('sha256', tbs, pair.privateKey)));
}

const extension = (dotted: string, value: Uint8Array): Uint8Array =>
  sequence(oid(dotted), octetString(value));

describe('a certificate', () => {
  it('of every root that node trusts is read as node reads it', () => {
    for (const pem of rootCertificates) {
      const theirs = new X509Certificate(pem);
      const ours = parseCertificatePem(pem);
      expect(ours.serialNumber.replace(/^0+(?=.)/, '')).toBe(
        theirs.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''),
      );
      expect(ours.notBefore).toBe(theirs.validFromDate.getTime());
      expect(ours.notAfter).toBe(theirs.validToDate.getTime());
      expect(ours.fingerprint).toBe(theirs.fingerprint256.replaceAll(':', '').toLowerCase());
      expect(ours.basicConstraints?.ca ?? false).toBe(theirs.ca);
      expect(Buffer.from(ours.spkiDer).equals(theirs.publicKey.export({ type: 'spki', format: 'der' }))).toBe(
        true,
      );
      expect(ours.publicKey.equals(theirs.publicKey)).toBe(true);
      if (ours.signatureAlgorithm.name !== undefined)
        expect(verifyCertificateSignature(ours, ours)).toBe(theirs.verify(theirs.publicKey));
      expect(new X509Certificate(ours.pem()).raw.equals(theirs.raw)).toBe(true);
    }
  });

  it('made by @peculiar/x509 is read as it was meant', async () => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const word = fc.stringMatching(/^[A-Za-z0-9]{1,30}$/);
    const usage = fc.integer({ min: 1, max: 127 });
    await fc.assert(
      fc.asyncProperty(
        fc.record({ cn: word, o: word, serial: fc.stringMatching(/^[1-7][0-9a-f]{31}$/) }),
        fc.array(fc.domain(), { minLength: 1, maxLength: 3 }),
        fc.option(fc.nat(5)),
        usage,
        async ({ cn, o, serial }, dns, pathLen, bits) => {
          const notBefore = new Date(1.7e12);
          const notAfter = new Date(Date.UTC(2099, 0, 1));
          const theirs = await oracle.X509CertificateGenerator.createSelfSigned({
            serialNumber: serial,
            name: `CN=${cn}, O=${o}`,
            notBefore,
            notAfter,
            keys,
            signingAlgorithm: algorithm,
            extensions: [
              new oracle.BasicConstraintsExtension(true, pathLen ?? undefined, true),
              new oracle.KeyUsagesExtension(bits, true),
              new oracle.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.2', '1.2.3.4']),
              await oracle.SubjectKeyIdentifierExtension.create(keys.publicKey),
              new oracle.SubjectAlternativeNameExtension(dns.map((value) => ({ type: 'dns', value }))),
              new oracle.CRLDistributionPointsExtension([
                'http://ca.example/a.crl',
                'http://ca.example/b.crl',
              ]),
              new oracle.Extension('1.2.3.5', true, Uint8Array.of(5, 0)),
            ],
          });
          const ours = parseCertificate(new Uint8Array(theirs.rawData));
          expect(ours).toMatchObject({
            version: 3,
            serialNumber: serial,
            subject: { commonName: cn, organization: o },
            issuer: { commonName: cn, organization: o },
            notBefore: notBefore.getTime(),
            notAfter: notAfter.getTime(),
            basicConstraints: pathLen === null ? { ca: true } : { ca: true, pathLen },
            extKeyUsage: ['1.3.6.1.5.5.7.3.2', '1.2.3.4'],
            sans: { dns },
            crlUrls: ['http://ca.example/a.crl', 'http://ca.example/b.crl'],
            unknownCritical: ['1.2.3.5'],
          });
          const flags = oracle.KeyUsageFlags;
          expect(ours.keyUsage?.has('digitalSignature')).toBe((bits & flags.digitalSignature) !== 0);
          expect(ours.keyUsage?.has('keyCertSign')).toBe((bits & flags.keyCertSign) !== 0);
          expect(ours.keyUsage?.has('cRLSign')).toBe((bits & flags.cRLSign) !== 0);
          expect(ours.subjectKeyId).toBe(theirs.getExtension(oracle.SubjectKeyIdentifierExtension)?.keyId);
          expect(verifyCertificateSignature(ours, ours)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is not verified by another key, nor by a key of another kind', () => {
    const certificate = parseCertificate(certificateOf({}));
    expect(verifyCertificateSignature(certificate, pair.publicKey)).toBe(true);
    expect(verifyCertificateSignature(certificate, generateKeyPair('P-256').publicKey)).toBe(false);
    for (const type of ['P-384', 'Ed25519', 'RSA-2048'] as const)
      expect(verifyCertificateSignature(certificate, generateKeyPair(type).publicKey)).toBe(false);
    const dsa = generateKeyPairSync('ed448').publicKey;
    expect(
      verifyCertificateSignature(certificate, createPublicKey(dsa.export({ type: 'spki', format: 'pem' }))),
    ).toBe(false);
  });

  it('does not change when the bytes that it was read from do', () => {
    const bytes = Uint8Array.from(certificateOf({}));
    const certificate = parseCertificate(bytes);
    const { fingerprint } = parseCertificate(bytes);
    bytes.fill(0);
    expect(certificate.fingerprint).toBe(fingerprint);
    expect(certificate.pem()).toMatch(/^-----BEGIN CERTIFICATE-----\nMII/);
  });

  it('leaves out a name that occurs twice, for it names nobody', () => {
    const twice = ['a', 'b'].map((cn) => encodeName({ commonName: cn }).subarray(2));
    const name = sequence(...twice);
    const bytes = Buffer.from(certificateOf({}));
    const single = Buffer.from(encodeName({ commonName: 'x' }));
    expect(bytes.includes(single)).toBe(true);
    const tbs = sequence(
      der(constructed(0), smallInteger(2)),
      smallInteger(1),
      ECDSA_SHA256,
      single,
      sequence(encodeTime(0), encodeTime(1e12)),
      name,
      exportSpki(pair.publicKey),
    );
    const certificate = parseCertificate(sequence(tbs, ECDSA_SHA256, bitString(Uint8Array.of(0))));
    expect(certificate.subject).toEqual({});
  });

  it.each<[string, Uint8Array, string]>([
    [
      'negative serial number',
      certificateOf({ serial: der(TAG.INTEGER, Uint8Array.of(0x80)) }),
      'serialNumber: negative (RFC 5280 §4.1.2.2)',
    ],
    [
      'serial number of 21 bytes',
      certificateOf({ serial: unsignedInteger(new Uint8Array(21).fill(1)) }),
      'serialNumber: more than 20 bytes (RFC 5280 §4.1.2.2)',
    ],
    [
      'signed algorithm that is not the stated one',
      certificateOf({ inner: sequence(oid('1.2.840.113549.1.1.11'), nullValue()) }),
      'signatureAlgorithm: differs from the one that is signed (RFC 5280 §4.1.1.2)',
    ],
    [
      'version of 4',
      certificateOf({ version: der(constructed(0), smallInteger(3)) }),
      'version: 4 is none of X.509',
    ],
    [
      'extension in a version 2 certificate',
      certificateOf({
        version: der(constructed(0), smallInteger(1)),
        extensions: [extension('1.2.3', nullValue())],
      }),
      'extensions: in a certificate of version 2',
    ],
    [
      'extension that occurs twice',
      certificateOf({ extensions: [extension('1.2.3', nullValue()), extension('1.2.3', nullValue())] }),
      'extensions: 1.2.3 occurs twice',
    ],
    [
      'pathLen without CA:true',
      certificateOf({ extensions: [extension('2.5.29.19', sequence(smallInteger(0)))] }),
      'basicConstraints: a pathLen without CA:true',
    ],
    [
      'BER boolean in basicConstraints',
      certificateOf({ extensions: [extension('2.5.29.19', sequence(der(TAG.BOOLEAN, Uint8Array.of(1))))] }),
      'basicConstraints: a BOOLEAN that is not 00 or FF',
    ],
    [
      'NUL in a DNS name',
      certificateOf({ extensions: [extension('2.5.29.17', sequence(der(0x82, Buffer.from('a\0b'))))] }),
      'subjectAltName: a character that is not printable ASCII',
    ],
    [
      'IP address of five bytes',
      certificateOf({ extensions: [extension('2.5.29.17', sequence(der(0x87, new Uint8Array(5))))] }),
      'subjectAltName: an IP address of 5 bytes',
    ],
    [
      'empty extKeyUsage',
      certificateOf({ extensions: [extension('2.5.29.37', sequence())] }),
      'extKeyUsage: empty',
    ],
    [
      'basicConstraints with something after it',
      certificateOf({
        extensions: [extension('2.5.29.19', Buffer.concat([sequence(boolean(true)), nullValue()]))],
      }),
      'basicConstraints: 2 trailing bytes',
    ],
  ])('with a %s is refused', (_, bytes, message) => {
    expect(() => parseCertificate(bytes)).toThrow(expect.objectContaining({ code: 'malformed', message }));
  });

  it('in PEM of another kind is refused', () => {
    expect(() => parseCertificatePem(encodePem('PRIVATE KEY', Uint8Array.of(1)))).toThrow(
      expect.objectContaining({ code: 'bad-pem' }),
    );
  });

  it('with any bytes flipped is read or refused with a PkiError, and verifies only as it was signed', () => {
    const good = certificateOf({
      extensions: [
        extension('2.5.29.19', sequence(boolean(true), smallInteger(1))),
        extension('2.5.29.17', sequence(der(0x82, Buffer.from('a.example')), der(0x87, new Uint8Array(4)))),
        extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.2'))),
      ],
    });
    const signed = Buffer.from(parseCertificate(good).tbsDer);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const bytes = Uint8Array.from(good);
        bytes[at] = (bytes[at] as number) ^ mask;
        try {
          const read = parseCertificate(bytes);
          if (verifyCertificateSignature(read, pair.publicKey)) expect(signed.equals(read.tbsDer)).toBe(true);
        } catch (error) {
          if (!(error instanceof PkiError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });
});
