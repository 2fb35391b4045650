import { createPublicKey, hash, type KeyObject, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openssl } from '../../test/openssl.ts';
import * as oracle from '../../test/peculiar.ts';
import { type Certificate, verifyCertificateSignature } from '../certificate.ts';
import { createCsr } from '../create-csr.ts';
import { parseCsr } from '../csr.ts';
import { NO_END } from '../der/time.ts';
import { exportSpki, generateKeyPair, parseKey } from '../keys.ts';
import { encodeName } from '../name.ts';
import { keySigner } from '../signer/key-signer.ts';
import { makeCertificate, newTestKey } from '../testing/make-certificate.ts';
import { issueCross, recertify } from './cross.ts';
import { issue } from './issue.ts';
import { type CertificateRequestFacts, newSerialNumber, prepare } from './prepare.ts';
import { issueRoot } from './root.ts';
import { createTemplate, type TemplateRequest } from './template.ts';

const now = Date.UTC(2026, 0, 1, 12);
const DAY_MS = 24 * 60 * 60 * 1000;
const rootSigner = keySigner(generateKeyPair('P-384').privateKey);
const issuingSigner = keySigner(generateKeyPair('P-256').privateKey);
const device = generateKeyPair('P-256');
const spkiDer = exportSpki(device.publicKey);

const root = await issueRoot({
  subject: { commonName: 'Test root', organization: 'acme' },
  signer: rootSigner,
  issuedAt: now,
  notAfter: NO_END,
});
const issuing = await issue(
  prepare(
    createTemplate({ kind: 'authority', issuer: root, pathLen: 0, crlUrls: ['http://ca.example/root.crl'] }),
    {
      subject: { commonName: 'Test issuing CA', organization: 'acme' },
      spkiDer: exportSpki(issuingSigner.publicKey),
      issuedAt: now,
      notAfter: NO_END,
    },
  ),
  rootSigner,
);

const urls = {
  crlUrls: ['http://ca.example/issuing.crl'],
  ocspUrls: ['http://ca.example/ocsp'],
  caIssuerUrls: ['http://ca.example/issuing.cer'],
};
const ofKind = (kind: TemplateRequest['kind']) => createTemplate({ kind, issuer: issuing, ...urls });
const facts: CertificateRequestFacts = {
  subject: { commonName: 'dev-1', organization: 'acme' },
  spkiDer,
  sans: { uris: ['spiffe://signet.example/acme/device/dev-1'] },
  issuedAt: now,
  notAfter: now + 90 * DAY_MS,
};
const operational = ofKind('operational');

function opensslVerify(leaf: Certificate, purpose: string): string {
  return openssl(
    [
      ...['verify', '-x509_strict', '-attime', String(now / 1000), '-purpose', purpose],
      ...['-CAfile', 'root.pem', '-untrusted', 'issuing.pem', 'leaf.pem'],
    ],
    { 'root.pem': root.pem(), 'issuing.pem': issuing.pem(), 'leaf.pem': leaf.pem() },
  );
}

describe('an issued certificate', () => {
  it('for a device says all that admission needs (design: certificates)', async () => {
    const certificate = await issue(prepare(operational, facts), issuingSigner);
    expect(certificate).toMatchObject({
      version: 3,
      subject: { commonName: 'dev-1', organization: 'acme' },
      issuer: { commonName: 'Test issuing CA', organization: 'acme' },
      notBefore: now - 5 * 60 * 1000,
      notAfter: now + 90 * DAY_MS,
      keyUsage: new Set(['digitalSignature']),
      extKeyUsage: ['1.3.6.1.5.5.7.3.2'],
      authorityKeyId: issuing.subjectKeyId,
      sans: { uris: ['spiffe://signet.example/acme/device/dev-1'] },
      unknownCritical: [],
      ...urls,
      caIssuerUrls: urls.caIssuerUrls,
    });
    expect(certificate.basicConstraints).toBeUndefined();
    expect(opensslVerify(certificate, 'sslclient')).toContain('OK');
    expect(() => opensslVerify(certificate, 'sslserver')).toThrow();
  });

  it('is read by openssl as it was meant', async () => {
    const certificate = await issue(prepare(operational, facts), issuingSigner);
    const text = openssl(['x509', '-noout', '-text', '-in', 'a.pem'], { 'a.pem': certificate.pem() });
    expect(text).toContain('Subject: O = acme, CN = dev-1');
    expect(text).toContain('Not Before: Jan  1 11:55:00 2026 GMT');
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/Extended Key Usage: \s+TLS Web Client Authentication\n/);
    expect(text).toContain('URI:spiffe://signet.example/acme/device/dev-1');
    expect(text).toContain('OCSP - URI:http://ca.example/ocsp');
    expect(text).toContain('CA Issuers - URI:http://ca.example/issuing.cer');
    expect(text).toContain('URI:http://ca.example/issuing.crl');
  });

  it('of bootstrap kind carries the serial of the device and never ends (IEEE 802.1AR §8.7)', async () => {
    const certificate = await issue(
      prepare(ofKind('bootstrap'), {
        subject: { commonName: 'dev-1', serialNumber: 'SN-0001' },
        spkiDer,
        issuedAt: now,
        notAfter: NO_END,
      }),
      issuingSigner,
    );
    expect(certificate.subject).toEqual({ commonName: 'dev-1', serialNumber: 'SN-0001' });
    expect(new X509Certificate(certificate.der).validTo).toBe('Dec 31 23:59:59 9999 GMT');
    expect(opensslVerify(certificate, 'sslclient')).toContain('OK');
  });

  it('of server kind is taken by openssl for its names only', async () => {
    const certificate = await issue(
      prepare(ofKind('server'), {
        ...facts,
        subject: { commonName: 'localhost' },
        sans: { dns: ['localhost', 'est.example'], ips: ['127.0.0.1', '::1'] },
      }),
      issuingSigner,
    );
    expect(opensslVerify(certificate, 'sslserver')).toContain('OK');
    expect(() => opensslVerify(certificate, 'sslclient')).toThrow();
    const theirs = new X509Certificate(certificate.der);
    for (const name of ['localhost', 'est.example']) expect(theirs.checkHost(name)).toBe(name);
    for (const ip of ['127.0.0.1', '::1']) expect(theirs.checkIP(ip)).toBe(ip);
    expect(theirs.checkHost('other.example')).toBeUndefined();
  });

  it('of authority kind bounds what lies below it, and a root signs itself', () => {
    expect(root).toMatchObject({
      basicConstraints: { ca: true },
      keyUsage: new Set(['keyCertSign', 'cRLSign']),
    });
    expect(verifyCertificateSignature(root, root)).toBe(true);
    expect(issuing.basicConstraints).toEqual({ ca: true, pathLen: 0 });
    expect(verifyCertificateSignature(issuing, root)).toBe(true);
    expect(new X509Certificate(issuing.der).checkIssued(new X509Certificate(root.der))).toBe(true);
  });

  it.each(['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const)('can be signed with a %s key', async (type) => {
    const signer = keySigner(generateKeyPair(type).privateKey);
    const issuer = await issueRoot({
      subject: { commonName: type },
      signer,
      issuedAt: now,
      notAfter: NO_END,
    });
    const leaf = await issue(prepare(createTemplate({ kind: 'operational', issuer }), facts), signer);
    const theirs = new X509Certificate(leaf.der);
    expect(theirs.verify(issuer.publicKey)).toBe(true);
    expect(theirs.checkIssued(new X509Certificate(issuer.der))).toBe(true);
  });

  it('of a CA that openssl made goes on under its SHA-1 key id, whichever root certifies it anew', async () => {
    const [cn, o] = ['Owner CA', 'acme'];
    const make = (subject: { commonName: string; organization: string }, key: KeyObject) =>
      makeCertificate({
        ...{ subject, issuer: subject, publicKey: createPublicKey(key), signingKey: key, ca: true },
        ...{ notBefore: now - DAY_MS, notAfter: now + 1000 * DAY_MS },
        ...{ subjectKeyId: hash('sha1', parseKey(exportSpki(createPublicKey(key))).bits), pathLen: 1 },
        keyUsage: ['keyCertSign', 'cRLSign'],
      });
    const [oldKey, newKey] = [newTestKey(), newTestKey()];
    const subject = { commonName: cn, organization: o };
    const [old, next] = [make(subject, oldKey), make(subject, newKey)];
    const newSigner = keySigner(newKey);
    const oldWithNew = await issueCross({ certificate: next, signer: newSigner }, old, now);
    expect(oldWithNew).toMatchObject({ subjectKeyId: old.subjectKeyId, authorityKeyId: next.subjectKeyId });
    const newWithOld = await issueCross({ certificate: old, signer: keySigner(oldKey) }, next, now);
    expect(newWithOld).toMatchObject({ subjectKeyId: next.subjectKeyId, authorityKeyId: old.subjectKeyId });
    const below = make({ commonName: 'x'.repeat(80), organization: o }, newTestKey());
    const again = await recertify({ certificate: next, signer: newSigner }, below, now);
    expect(again).toMatchObject({ subjectKeyId: below.subjectKeyId, authorityKeyId: next.subjectKeyId });
    expect(again.basicConstraints).toEqual({ ca: true, pathLen: 0 });
    expect(Buffer.compare(again.subjectDer, below.subjectDer)).toBe(0);
  });

  it('is the same to node and to @peculiar/x509, whatever the names', async () => {
    const text = fc
      .string({ minLength: 1, maxLength: 30, unit: 'grapheme' })
      .filter((s) => s.isWellFormed() && s.length <= 60);
    const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$/);
    await fc.assert(
      fc.asyncProperty(text, id, fc.nat(20_000), async (organization, device, days) => {
        const uri = `spiffe://signet.example/acme/device/${device}`;
        const ours = await issue(
          prepare(operational, {
            ...facts,
            subject: { commonName: device, organization },
            sans: { uris: [uri] },
            notAfter: now + (days + 1) * DAY_MS,
          }),
          issuingSigner,
        );
        const node = new X509Certificate(ours.der);
        expect(node.serialNumber.toLowerCase()).toBe(ours.serialNumber);
        expect(node.validToDate.getTime()).toBe(now + (days + 1) * DAY_MS);
        expect(node.subjectAltName).toBe(`URI:${uri}`);
        expect(node.verify(issuingSigner.publicKey)).toBe(true);
        const theirs = new oracle.X509Certificate(new Uint8Array(ours.der));
        expect(theirs.subjectName.getField('CN')).toEqual([device]);
        expect(theirs.subjectName.getField('O')).toEqual([organization]);
        expect(theirs.notBefore.getTime()).toBe(ours.notBefore);
        expect(theirs.getExtension(oracle.SubjectKeyIdentifierExtension)?.keyId).toBe(ours.subjectKeyId);
      }),
      { numRuns: 40 },
    );
  });

  it('of a renewal keeps the Subject bytes exactly (RFC 7030 §4.2.2)', async () => {
    const subjectDer = Buffer.from('3010310e300c060355040313056465762d31', 'hex');
    const csr = parseCsr(createCsr({ subjectDer, privateKey: device.privateKey }));
    const { subject: _, ...rest } = facts;
    const certificate = await issue(
      prepare(operational, { ...rest, subjectDer: csr.subjectDer }),
      issuingSigner,
    );
    expect(Buffer.from(certificate.subjectDer).equals(subjectDer)).toBe(true);
  });

  it('made again from the same serial and time differs in its signature only', async () => {
    const again = { ...facts, serialNumber: newSerialNumber() };
    const [one, two] = [prepare(operational, again), prepare(operational, again)];
    const [a, b] = [await issue(one, issuingSigner), await issue(two, issuingSigner)];
    expect(Buffer.compare(a.tbsDer, b.tbsDer)).toBe(0);
    expect(a.serialNumber).toBe(again.serialNumber);
  });

  it('gets a serial of 128 random bits', () => {
    const serials = Array.from({ length: 500 }, newSerialNumber);
    expect(new Set(serials).size).toBe(500);
    expect(serials.every((serial) => /^(?!00)[0-9a-f]{32}$/.test(serial))).toBe(true);
    expect(serials.some((serial) => Number.parseInt(serial.slice(0, 2), 16) >= 0x80)).toBe(true);
  });
});

describe('issuance', () => {
  it('signs a linted certificate once', async () => {
    const linted = prepare(operational, { ...facts, serialNumber: 'c0'.repeat(16) });
    await issue(linted, issuingSigner);
    await expect(issue(linted, issuingSigner)).rejects.toMatchObject({
      code: 'already-used',
      message: `certificate ${'c0'.repeat(16)}: was signed already, prepare another`,
    });
  });

  it('refuses a signer that is not the issuer', async () => {
    for (const signer of [rootSigner, keySigner(generateKeyPair('P-256').privateKey)])
      await expect(issue(prepare(operational, facts), signer)).rejects.toMatchObject({
        code: 'signer-failed',
        message: 'signer: its key is not that of the issuer',
      });
  });

  it('says that the signer failed, with the cause', async () => {
    const cause = new Error('HSM is unavailable');
    const broken = { ...issuingSigner, sign: () => Promise.reject(cause) };
    await expect(issue(prepare(operational, facts), broken)).rejects.toMatchObject({
      code: 'signer-failed',
      cause,
    });
  });

  it('refuses what would outlive its issuer, and does not shorten it', async () => {
    const issuer = await issueRoot({
      subject: { commonName: 'Short' },
      signer: issuingSigner,
      issuedAt: now,
      notAfter: now + 30 * DAY_MS,
    });
    expect(() => prepare(createTemplate({ kind: 'operational', issuer }), facts)).toThrow(
      expect.objectContaining({
        code: 'not-issuable',
        message: "notAfter: 2026-04-01T12:00:00.000Z is past the issuer's end, 2026-01-31T12:00:00.000Z",
      }),
    );
  });

  it('refuses an issuer that is not a CA', async () => {
    const leaf = await issue(prepare(operational, facts), issuingSigner);
    expect(() => createTemplate({ kind: 'operational', issuer: leaf })).toThrow(
      expect.objectContaining({
        code: 'not-issuable',
        message: 'issuer: its certificate is not of a CA (basicConstraints)',
      }),
    );
  });

  it('refuses a pathLen where it means nothing', () => {
    expect(() => createTemplate({ kind: 'server', issuer: issuing, pathLen: 0 })).toThrow(
      expect.objectContaining({ code: 'not-issuable' }),
    );
  });

  it('refuses a name that DER cannot carry as asked', () => {
    expect(() => encodeName({ commonName: '' })).toThrow('commonName: empty');
    expect(() => encodeName({ commonName: 'a', serialNumber: 'ä' })).toThrow(
      'serialNumber: a character that PrintableString lacks',
    );
    expect(() => prepare(operational, { ...facts, sans: { uris: ['spiffe://a/ä'] } })).toThrow(
      'SAN URI: "spiffe://a/ä" is not printable ASCII',
    );
    expect(() => prepare(ofKind('server'), { ...facts, sans: { ips: ['1.2.3'] } })).toThrow(
      'SAN IP address: "1.2.3" is none',
    );
  });
});
