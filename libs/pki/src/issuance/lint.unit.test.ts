import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseTbs } from '../certificate.ts';
import { primitive, TAG } from '../der/tags.ts';
import { NO_END } from '../der/time.ts';
import { der, nullValue, sequence } from '../der/writer.ts';
import {
  authorityConstraintsExtension,
  authorityKeyIdExtension,
  crlDistributionPointsExtension,
  extension,
  extKeyUsageExtension,
  keyUsageExtension,
} from '../encode-extensions.ts';
import type { KeyUsage } from '../extensions.ts';
import { exportSpki, generateKeyPair } from '../keys.ts';
import { encodeSignatureAlgorithm } from '../signature-algorithm.ts';
import { keySigner } from '../signer/key-signer.ts';
import { lints, runLints } from './lint.ts';
import { type CertificateRequestFacts, prepare } from './prepare.ts';
import { issueRoot } from './root.ts';
import { createTemplate, type SigningIssuer, type Template } from './template.ts';

const now = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;
const signer = keySigner(generateKeyPair('P-256').privateKey);
const root = await issueRoot({
  subject: { commonName: 'Root' },
  signer,
  issuedAt: now,
  notAfter: NO_END,
  pathLen: 1,
});
const spkiDer = exportSpki(generateKeyPair('P-256').publicKey);

const operational = createTemplate({ kind: 'operational', issuer: root });
const authority = createTemplate({ kind: 'authority', issuer: root, pathLen: 0 });
const server = createTemplate({ kind: 'server', issuer: root });
const bootstrap = createTemplate({ kind: 'bootstrap', issuer: root });
const facts: CertificateRequestFacts = {
  subject: { commonName: 'dev-1' },
  spkiDer,
  sans: { uris: ['spiffe://signet.example/acme/device/dev-1'] },
  issuedAt: now,
  notAfter: now + DAY_MS,
};
const { sans: _, ...unnamed } = facts;

const keyId = Buffer.from(root.subjectKeyId ?? '', 'hex');
const aki = authorityKeyIdExtension(keyId);
const digitalSignature = keyUsageExtension(['digitalSignature']);
const clientAuth = extKeyUsageExtension('1.3.6.1.5.5.7.3.2');
const caUsage = keyUsageExtension(['keyCertSign', 'cRLSign']);

/** A template that somebody got wrong. */
const wrong = (template: Template, ...extensions: readonly Uint8Array[]): Template => ({
  ...template,
  extensionsDer: Buffer.concat(extensions),
});
const issuedBy = (template: Template, changes: Partial<SigningIssuer>): Template => ({
  ...template,
  issuer: { ...template.issuer, ...changes },
});
const shortRsa = exportSpki(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey);

/** A DistributionPoint with this URI. */
function pointOf(url: string): Uint8Array {
  const whole = crlDistributionPointsExtension([url]);
  const value = Buffer.from(whole.subarray(whole.indexOf(0x04) + 2));
  return value.subarray(2);
}

describe('a lint', () => {
  it.each<[string, Template, CertificateRequestFacts, string]>([
    ['serial of zero', operational, { ...facts, serialNumber: '00' }, 'serialNumber: must be positive'],
    [
      'short serial',
      operational,
      { ...facts, serialNumber: '0102' },
      'serialNumber: 2 bytes, at least 8 are needed',
    ],
    [
      'end before its beginning',
      operational,
      { ...facts, notAfter: now - DAY_MS },
      'validity: notAfter is not later than notBefore',
    ],
    [
      'device certificate without end',
      operational,
      { ...facts, notAfter: NO_END },
      'validity: a certificate of kind "operational" must have an end',
    ],
    [
      'nameless subject',
      operational,
      { ...facts, subject: {} },
      'subject: has no commonName, or more than one',
    ],
    [
      'name of 65 characters',
      operational,
      { ...facts, subject: { commonName: 'a'.repeat(65) } },
      'subject: commonName is longer than 64 characters',
    ],
    [
      'device that bears the name of the CA',
      operational,
      { ...facts, subject: { commonName: 'Root' } },
      'subject: a certificate of kind "operational" bears the name of its issuer',
    ],
    [
      'self-signed certificate of another name',
      issuedBy(authority, { selfSigned: true }),
      { ...unnamed },
      'subject: differs from the issuer in a self-signed certificate',
    ],
    [
      'weak key',
      operational,
      { ...facts, spkiDer: shortRsa },
      'subjectPublicKeyInfo: key: RSA of 1024 bits, at least 2048 are needed',
    ],
    [
      'device that is a CA',
      wrong(operational, authorityConstraintsExtension(), digitalSignature, clientAuth, aki),
      facts,
      'basicConstraints: CA:true in a certificate of kind "operational"',
    ],
    [
      'CA that is none',
      wrong(authority, caUsage, aki),
      unnamed,
      'basicConstraints: CA:true is missing in the certificate of a CA',
    ],
    [
      'CA whose constraint is not critical',
      wrong(authority, extension('2.5.29.19', false, Buffer.from('30030101ff', 'hex')), caUsage, aki),
      unnamed,
      'basicConstraints: must be critical in the certificate of a CA',
    ],
    [
      'CA without a bound below a CA with one',
      createTemplate({ kind: 'authority', issuer: root }),
      unnamed,
      "basicConstraints: pathLen must be below the issuer's, 1",
    ],
    [
      'CA below a CA that may have none',
      issuedBy(authority, { pathLen: 0 }),
      unnamed,
      'basicConstraints: the issuer may have no CA below it (pathLen 0)',
    ],
    [
      'device that may sign certificates',
      wrong(operational, keyUsageExtension(['digitalSignature', 'keyCertSign']), clientAuth, aki),
      facts,
      'keyUsage: must be digitalSignature and nothing else',
    ],
    [
      'key usage that is not critical',
      wrong(operational, extension('2.5.29.15', false, Buffer.from('03020780', 'hex')), clientAuth, aki),
      facts,
      'keyUsage: must be critical',
    ],
    [
      'device that may be a server',
      wrong(
        operational,
        digitalSignature,
        extKeyUsageExtension('1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'),
        aki,
      ),
      facts,
      'extKeyUsage: must be 1.3.6.1.5.5.7.3.2 and nothing else',
    ],
    [
      'CA with an extended key usage',
      wrong(authority, authorityConstraintsExtension(0), caUsage, clientAuth, aki),
      unnamed,
      'extKeyUsage: not in the certificate of a CA',
    ],
    [
      'missing authority key id',
      wrong(operational, digitalSignature, clientAuth),
      facts,
      'authorityKeyIdentifier: is missing',
    ],
    [
      'authority key id of another CA',
      wrong(operational, digitalSignature, clientAuth, authorityKeyIdExtension(Buffer.alloc(20))),
      facts,
      "key identifiers: authorityKeyIdentifier is not the issuer's key id",
    ],
    [
      'authority key id with a serial number beside it',
      wrong(
        operational,
        digitalSignature,
        clientAuth,
        extension('2.5.29.35', false, sequence(der(primitive(0), keyId), der(primitive(2), Buffer.of(1)))),
      ),
      facts,
      'authorityKeyIdentifier: must hold the keyIdentifier and nothing else',
    ],
    [
      'critical authority key id',
      wrong(
        operational,
        digitalSignature,
        clientAuth,
        extension('2.5.29.35', true, sequence(der(primitive(0), keyId))),
      ),
      facts,
      'criticality: must not be critical: authorityKeyIdentifier, §4.2.1.1',
    ],
    [
      'critical distribution point',
      wrong(
        operational,
        digitalSignature,
        clientAuth,
        aki,
        extension('2.5.29.31', true, sequence(pointOf('http://ca.example/1.crl'))),
      ),
      facts,
      'criticality: must not be critical: cRLDistributionPoints, §4.2.1.13',
    ],
    [
      'serial of 21 bytes',
      operational,
      { ...facts, serialNumber: `ff${'00'.repeat(19)}` },
      'serialNumber: 21 bytes, at most 20 are allowed',
    ],
    [
      'signature algorithm that is not the issuer’s',
      { ...operational, algorithmDer: encodeSignatureAlgorithm('ecdsa-with-SHA384') },
      facts,
      'signature: ecdsa-with-SHA384, and the issuer signs with ecdsa-with-SHA256',
    ],
    ['issuer without a name', issuedBy(operational, { subjectDer: sequence() }), facts, 'issuer: is empty'],
    [
      'unit of 65 characters',
      operational,
      { ...facts, subject: { commonName: 'dev-1', organizationalUnit: 'u'.repeat(65) } },
      'subject attributes: organizationalUnit is longer than 64 characters',
    ],
    [
      'locality of 129 characters',
      operational,
      { ...facts, subject: { commonName: 'dev-1', locality: 'l'.repeat(129) } },
      'subject attributes: locality is longer than 128 characters',
    ],
    [
      'country of three letters',
      operational,
      { ...facts, subject: { commonName: 'dev-1', country: 'GER' } },
      'subject attributes: country is not two letters',
    ],
    [
      'name with a NUL in it',
      operational,
      { ...facts, subject: { commonName: 'dev-1\0' } },
      'subject attributes: commonName holds a control character',
    ],
    [
      'SPIFFE id that climbs',
      operational,
      { ...facts, sans: { uris: ['spiffe://signet.example/acme/../rival/device/dev-1'] } },
      'a path segment ".."',
    ],
    [
      'list of names without any',
      wrong(bootstrap, digitalSignature, clientAuth, aki, extension('2.5.29.17', false, sequence())),
      unnamed,
      'subjectAltName form: holds no name',
    ],
    [
      'name that occurs twice',
      server,
      { ...facts, sans: { dns: ['a.example', 'a.example'] } },
      'subjectAltName form: holds a name twice',
    ],
    [
      'URI that is not absolute',
      server,
      { ...facts, sans: { dns: ['a.example'], uris: ['/path'] } },
      'subjectAltName form: "/path" is not an absolute URI',
    ],
    [
      'DNS name that is an address',
      server,
      { ...facts, sans: { dns: ['127.0.0.1'] } },
      'subjectAltName form: "127.0.0.1" is an IP address and no DNS name',
    ],
    [
      'distribution point without a URI',
      wrong(operational, digitalSignature, clientAuth, aki, extension('2.5.29.31', false, sequence())),
      facts,
      'cRLDistributionPoints: has no URI',
    ],
    [
      'distribution point over HTTPS',
      createTemplate({ kind: 'operational', issuer: root, crlUrls: ['https://ca.example/1.crl'] }),
      facts,
      'cRLDistributionPoints: "https://ca.example/1.crl" is not an absolute http URL',
    ],
    [
      'OCSP address that is relative',
      createTemplate({ kind: 'operational', issuer: root, ocspUrls: ['/ocsp'] }),
      facts,
      'authorityInfoAccess: OCSP: "/ocsp" is not an absolute http URL',
    ],
    [
      'issuer address with credentials in it',
      createTemplate({ kind: 'operational', issuer: root, caIssuerUrls: ['http://me:pw@ca.example/1.cer'] }),
      facts,
      'authorityInfoAccess: caIssuers: "http://me:pw@ca.example/1.cer" is not an absolute http URL',
    ],
    [
      'information access that leads nowhere',
      wrong(
        operational,
        digitalSignature,
        clientAuth,
        aki,
        extension('1.3.6.1.5.5.7.1.1', false, sequence()),
      ),
      facts,
      'authorityInfoAccess: has neither an OCSP nor a caIssuers URI',
    ],
    [
      'device without a SPIFFE id',
      operational,
      unnamed,
      'subjectAltName: one SPIFFE id is needed, there are 0 URIs',
    ],
    [
      'device with two SPIFFE ids',
      operational,
      { ...facts, sans: { uris: ['spiffe://a/b', 'spiffe://a/c'] } },
      'subjectAltName: one SPIFFE id is needed, there are 2 URIs',
    ],
    [
      'URI that is no SPIFFE id',
      operational,
      { ...facts, sans: { uris: ['https://a/b'] } },
      'subjectAltName: "https://a/b" is not a SPIFFE id',
    ],
    ['server without a name', server, unnamed, 'subjectAltName: a server has a DNS name or an IP address'],
    [
      'DNS name that is none',
      server,
      { ...facts, sans: { dns: ['a..b'] } },
      'subjectAltName: "a..b" is not a DNS name',
    ],
    [
      'bootstrap certificate with a name',
      bootstrap,
      facts,
      'subjectAltName: no names in a certificate of kind "bootstrap"',
    ],
    [
      'critical extension that nobody knows',
      wrong(operational, digitalSignature, clientAuth, aki, extension('1.2.3', true, nullValue())),
      facts,
      'extensions: critical and unknown: 1.2.3',
    ],
  ])('refuses a %s and cites its rule', (_, template, request, reason) => {
    const message = expect.stringMatching(/ \((RFC|NIST|SPIFFE-ID) .+\)$/);
    expect(() => prepare(template, request)).toThrow(expect.objectContaining({ code: 'lint', message }));
    expect(() => prepare(template, request)).toThrow(reason);
  });

  const tbsOf = (template: Template, request = facts) => prepare(template, request).facts;

  it('refuses a time of the wrong form: UTCTime from 2050 on, GeneralizedTime before (RFC 5280 §4.1.2.5)', () => {
    const good = tbsOf(operational);
    const times = (...parts: [number, string][]) =>
      der(TAG.SEQUENCE, ...parts.map(([tag, text]) => der(tag, Buffer.from(text))));
    const early = times([TAG.GENERALIZED_TIME, '20251231235500Z'], [TAG.UTC_TIME, '260102000000Z']);
    expect(() => runLints({ ...good, validityDer: early }, operational)).toThrow(
      'validity encoding: notBefore: before 2050 it must be a UTCTime',
    );
    const late = times([TAG.UTC_TIME, '251231235500Z'], [TAG.UTC_TIME, '491231235959Z']);
    const ends = { ...good, validityDer: late, notAfter: Date.UTC(2051, 0, 1) };
    expect(() => runLints(ends, operational)).toThrow(
      'validity encoding: notAfter: from 2050 on it must be a GeneralizedTime',
    );
    for (const notAfter of [Date.UTC(2049, 11, 31, 23, 59, 59), Date.UTC(2050, 0, 1)])
      expect(() => tbsOf(operational, { ...facts, notAfter })).not.toThrow();
  });

  it('refuses unique identifiers (RFC 5280 §4.1.2.8), and uses that the key cannot have (RFC 8813 §3)', () => {
    const good = tbsOf(operational);
    expect(() => runLints({ ...good, hasUniqueIds: true }, operational)).toThrow(/^unique identifiers: /);
    const [found] = lints.filter(({ name }) => name === 'keyUsage of the key');
    const usage = (...names: KeyUsage[]) => ({ ...good, keyUsage: new Set(names) });
    expect(found?.check(usage('keyEncipherment'), operational)).toBe(
      'keyEncipherment is not for a key of kind P-256',
    );
    expect(found?.check(usage(), operational)).toMatch(/^no bit is set/);
    expect(found?.check(usage('digitalSignature'), operational)).toBeUndefined();
  });

  it('is not needed for an extension that occurs twice, nor for a negative serial number: such bytes are not read', () => {
    const twice = wrong(operational, digitalSignature, digitalSignature, clientAuth, aki);
    expect(() => prepare(twice, facts)).toThrow(
      expect.objectContaining({ code: 'malformed', message: expect.stringContaining('occurs twice') }),
    );
    const tbs = Buffer.from(tbsOf(operational, { ...facts, serialNumber: '5a00000000000001' }).tbsDer);
    tbs.writeUInt8(0xda, tbs.indexOf(Buffer.from('5a00000000000001', 'hex')));
    expect(() => parseTbs(tbs)).toThrow(/serialNumber: negative/);
  });

  it('has a name of its own and a citation', () => {
    expect(new Set(lints.map(({ name }) => name)).size).toBe(lints.length);
    for (const { citation } of lints) expect(citation).toMatch(/§|appendix/);
  });
});
