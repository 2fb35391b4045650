import { createPublicKey, hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { badCsrs } from '../test/bad-csrs.ts';
import { openssl } from '../test/openssl.ts';
import * as oracle from '../test/peculiar.ts';
import { createCsr } from './create-csr.ts';
import { parseCsr, verifyCsr } from './csr.ts';
import { bitString, nullValue, oid, sequence } from './der/writer.ts';
import { checkKey, exportSpki, generateKeyPair } from './keys.ts';
import { encodePem } from './pem.ts';
import { PkiError } from './pki-error.ts';

const types = ['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const;
const pairs = Object.fromEntries(types.map((type) => [type, generateKeyPair(type)])) as Record<
  (typeof types)[number],
  ReturnType<typeof generateKeyPair>
>;

const text = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).filter((s) => s.isWellFormed());
const uri = fc.webUrl().filter((url) => /^[\x21-\x7e]+$/.test(url));
const request = fc.record(
  {
    subject: fc.record({ commonName: text, organization: text }, { requiredKeys: ['commonName'] }),
    challengePassword: text,
    sans: fc.record({
      uris: fc.array(uri, { maxLength: 2 }),
      dns: fc.array(fc.domain(), { maxLength: 3 }),
      ips: fc.array(
        fc.oneof(
          fc.ipV4(),
          fc.ipV6().map((ip) => new URL(`http://[${ip}]`).hostname.slice(1, -1)),
        ),
        {
          maxLength: 3,
        },
      ),
    }),
  },
  { requiredKeys: ['subject'] },
);

/** What a device gets for sending these bytes: every check that an enrolment runs on them. */
function accept(der: Uint8Array): void {
  const csr = parseCsr(der);
  checkKey(csr.key);
  verifyCsr(csr);
}

describe('a certification request', () => {
  it('says after reading what was asked for', () => {
    fc.assert(
      fc.property(request, fc.constantFrom(...types), (asked, type) => {
        const csr = parseCsr(createCsr({ ...asked, privateKey: pairs[type].privateKey }));
        expect(csr.subject).toEqual(asked.subject);
        expect(csr.challengePassword).toBe(asked.challengePassword);
        expect(csr.sans).toEqual({ uris: [], dns: [], ips: [], emails: [], others: [], ...asked.sans });
        expect(csr.keyType).toBe(type);
        expect(csr.publicKeyHash).toBe(hash('sha256', exportSpki(pairs[type].publicKey), 'hex'));
        verifyCsr(csr);
      }),
      { numRuns: 60 },
    );
  });

  it('is read with NULL beside the algorithm, as tpm2-openssl writes it for a key in a TPM', () => {
    const der = createCsr({ subject: { commonName: 'tpm-1' }, privateKey: pairs['P-256'].privateKey });
    const csr = parseCsr(der);
    const signature = bitString(csr.signature);
    const algorithm = sequence(oid('1.2.840.10045.4.3.2'), nullValue());
    const theirs = parseCsr(sequence(csr.infoDer, algorithm, signature));
    expect(theirs.signatureAlgorithm).toEqual(csr.signatureAlgorithm);
    verifyCsr(theirs);
  });

  it('is read the same by @peculiar/x509', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (asked) => {
        const der = createCsr({ ...asked, privateKey: pairs['P-256'].privateKey });
        const theirs = new oracle.Pkcs10CertificateRequest(new Uint8Array(der));
        expect(await theirs.verify()).toBe(true);
        expect(theirs.subjectName.getField('CN')).toEqual([asked.subject.commonName]);
        const ours = parseCsr(der);
        expect(Buffer.from(theirs.publicKey.rawData).equals(ours.spkiDer)).toBe(true);
        const names =
          theirs.extensions
            .find((e) => e instanceof oracle.SubjectAlternativeNameExtension)
            ?.names.toJSON() ?? [];
        const { uris, dns, ips } = ours.sans;
        expect(names.length).toBe(uris.length + dns.length + ips.length);
        expect(names.filter(({ type }) => type === 'dns').map(({ value }) => value)).toEqual(dns);
        expect(names.filter(({ type }) => type === 'url').map(({ value }) => value)).toEqual(uris);
      }),
      { numRuns: 30 },
    );
  });

  it('made by @peculiar/x509 is read and verified', async () => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const theirs = await oracle.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=dev-7, O=acme',
      keys,
      signingAlgorithm: algorithm,
      extensions: [new oracle.SubjectAlternativeNameExtension([{ type: 'dns', value: 'dev-7.local' }])],
      attributes: [new oracle.ChallengePasswordAttribute('sgr-1')],
    });
    const csr = parseCsr(new Uint8Array(theirs.rawData));
    verifyCsr(csr);
    expect(csr).toMatchObject({
      subject: { commonName: 'dev-7', organization: 'acme' },
      keyType: 'P-384',
      challengePassword: 'sgr-1',
      sans: { dns: ['dev-7.local'] },
    });
  });

  it.each(types)('with a %s key is verified by openssl', (type) => {
    const der = createCsr({
      subject: { commonName: 'dev-1', organization: 'acme', serialNumber: 'S-1' },
      privateKey: pairs[type].privateKey,
      challengePassword: 'sgr_x',
      sans: { uris: ['spiffe://signet.example/acme/device/dev-1'], ips: ['fe80::1', '10.0.0.1'] },
      keyUsage: ['digitalSignature'],
    });
    const out = openssl(['req', '-verify', '-noout', '-text', '-in', 'a.csr'], {
      'a.csr': encodePem('CERTIFICATE REQUEST', der),
    });
    expect(out).toContain('self-signature verify OK');
    expect(out).toContain('Subject: O = acme, serialNumber = S-1, CN = dev-1');
    expect(out).toContain('URI:spiffe://signet.example/acme/device/dev-1');
    expect(out).toMatch(/challengePassword\s+:sgr_x/);
  });

  it('made by openssl is read and verified', () => {
    const pem = openssl([
      ...[
        'req',
        '-new',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        '/dev/null',
        '-subj',
        '/O=acme/CN=dev-9',
      ],
      ...['-addext', 'subjectAltName=URI:urn:x,IP:10.1.2.3,email:a@b.example', '-outform', 'PEM'],
    ]);
    const block = pem.slice(pem.indexOf('-----BEGIN CERTIFICATE REQUEST'));
    const csr = parseCsr(Buffer.from(block.replace(/-----[^-]+-----|\s/g, '').slice(0), 'base64'));
    verifyCsr(csr);
    expect(csr.keyType).toBe('RSA-2048');
    expect(csr.sans).toEqual({
      uris: ['urn:x'],
      dns: [],
      ips: ['10.1.2.3'],
      emails: ['a@b.example'],
      others: [],
    });
  });

  it('keeps the Subject bytes that a renewal passes on', () => {
    const subjectDer = Buffer.from('3010310e300c060355040313056465762d31', 'hex');
    const csr = parseCsr(createCsr({ subjectDer, privateKey: pairs['P-256'].privateKey }));
    expect(Buffer.from(csr.subjectDer).equals(subjectDer)).toBe(true);
    expect(csr.subject).toEqual({ commonName: 'dev-1' });
  });

  it('loads the key that it carries', () => {
    const csr = parseCsr(createCsr({ subject: { commonName: 'a' }, privateKey: pairs['P-256'].privateKey }));
    expect(csr.publicKey.equals(createPublicKey(pairs['P-256'].privateKey))).toBe(true);
  });
});

describe('a bad certification request', () => {
  it.each(Object.entries(badCsrs()))('%s is refused, and told why', (_, { der, code, message }) => {
    expect(() => accept(der)).toThrow(expect.objectContaining({ name: 'PkiError', code, message }));
  });

  it('of a kind of key that the profile does not allow is refused by name', () => {
    const csr = parseCsr(
      createCsr({ subject: { commonName: 'a' }, privateKey: pairs['RSA-2048'].privateKey }),
    );
    expect(() => checkKey(csr.key, ['P-256', 'P-384'])).toThrow(
      expect.objectContaining({
        code: 'unsupported-key',
        message: 'key: RSA-2048 is not allowed; allowed are P-256, P-384',
      }),
    );
  });

  it('with any bytes flipped never ends in anything but a PkiError, and never verifies as another', () => {
    const good = createCsr({
      subject: { commonName: 'dev-1', organization: 'acme' },
      privateKey: pairs['P-256'].privateKey,
      challengePassword: 'sgr_x',
      sans: { uris: ['spiffe://a/b'], dns: ['x.example'], ips: ['::1'] },
    });
    const signed = Buffer.from(parseCsr(good).infoDer);
    const flips = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(flips, (changes) => {
        const bytes = Uint8Array.from(good);
        for (const [at, mask] of changes) bytes[at] = (bytes[at] as number) ^ mask;
        try {
          accept(bytes);
          expect(signed.equals(parseCsr(bytes).infoDer)).toBe(true);
        } catch (error) {
          if (!(error instanceof PkiError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('cut short anywhere is refused as malformed', () => {
    const good = createCsr({ subject: { commonName: 'dev-1' }, privateKey: pairs['P-256'].privateKey });
    for (let end = 0; end < good.length; end++)
      expect(() => parseCsr(good.subarray(0, end))).toThrow(expect.objectContaining({ code: 'malformed' }));
  });
});
