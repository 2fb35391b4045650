import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { NO_END } from '../der/time.ts';
import { nullValue } from '../der/writer.ts';
import {
  authorityConstraintsExtension,
  authorityKeyIdExtension,
  extension,
  extKeyUsageExtension,
  keyUsageExtension,
} from '../encode-extensions.ts';
import { exportSpki, generateKeyPair } from '../keys.ts';
import { keySigner } from '../signer/key-signer.ts';
import { lints } from './lint.ts';
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

const aki = authorityKeyIdExtension(Buffer.from(root.subjectKeyId ?? '', 'hex'));
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

describe('a lint', () => {
  it.each<[string, Template, CertificateRequestFacts, string]>([
    ['serial of zero', operational, { ...facts, serialNumber: '00' }, 'serialNumber: must be positive'],
    [
      'short serial',
      operational,
      { ...facts, serialNumber: '0102' },
      'serialNumber: 2 octets, at least 8 are needed',
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
      "key identifiers: authorityKeyIdentifier is not the issuer's key id",
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
    const message = expect.stringMatching(/ \((RFC|NIST) .+\)$/);
    expect(() => prepare(template, request)).toThrow(expect.objectContaining({ code: 'lint', message }));
    expect(() => prepare(template, request)).toThrow(reason);
  });

  it('has a name of its own and a citation', () => {
    expect(new Set(lints.map(({ name }) => name)).size).toBe(lints.length);
    for (const { citation } of lints) expect(citation).toMatch(/§|appendix/);
  });
});
