import { execFileSync, spawnSync } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keySigner } from '@signet/pki';
import { createTestPki, newTestKey } from '@signet/pki/testing';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { afterAll, describe, expect, it } from 'vitest';
import { type CrlInput, createCrl } from './create-crl.ts';
import { type CrlEntry, type CrlReason, crlReasons } from './crl.ts';
import { mergeEntries } from './merge-entries.ts';
import { parseCrl, verifyCrlSignature } from './parse-crl.ts';
import { decodeSegment, encodeSegment } from './segment.ts';

const now = Date.UTC(2026, 5, 1);
const pki = createTestPki({ now });
const { certificate: issuer, signer } = pki.issuing;
const make = (changes: Partial<CrlInput> = {}) =>
  createCrl({
    issuer,
    signer,
    number: 7,
    thisUpdate: now,
    nextUpdate: now + 86_400_000,
    entries: [],
    ...changes,
  });

const directory = mkdtempSync(join(tmpdir(), 'signet-crl-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(directory, name), content);
  return join(directory, name);
};

describe('a CRL', () => {
  it('says what went in, whatever the serial numbers, times and reasons', async () => {
    const entry: fc.Arbitrary<CrlEntry> = fc
      .record({
        serialNumber: fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => {
          const [first = 0] = bytes;
          return Buffer.from(first === 0 && bytes.length > 1 ? bytes.fill(1, 0, 1) : bytes).toString('hex');
        }),
        seconds: fc.integer({ min: 0, max: 253_402_300_799 }),
        reason: fc.option(fc.constantFrom(...(Object.keys(crlReasons) as CrlReason[]).slice(1))),
      })
      .map(({ serialNumber, seconds, reason }) => ({
        serialNumber,
        revokedAt: seconds * 1000,
        ...(reason === null ? {} : { reason }),
      }));
    await fc.assert(
      fc.asyncProperty(fc.array(entry), fc.maxSafeNat(), async (entries, number) => {
        const crl = parseCrl(await make({ entries, number }));
        expect(crl).toMatchObject({
          entries,
          number: BigInt(number),
          thisUpdate: now,
          nextUpdate: now + 86_400_000,
          authorityKeyId: issuer.subjectKeyId,
          issuer: { commonName: 'Test issuing CA' },
          unknownCritical: [],
        });
        expect(verifyCrlSignature(crl, issuer)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('is verified and printed by openssl, which then finds the certificate revoked', async () => {
    const device = pki.operational('acme', 'dev-1');
    const { serialNumber } = device.certificate;
    const der = await make({ entries: [{ serialNumber, revokedAt: now, reason: 'keyCompromise' }] });
    const anchors = file('anchors.pem', pki.root.pem + pki.issuing.pem);
    const crl = file('crl.der', der);
    const args = ['crl', '-inform', 'DER', '-in', crl, '-CAfile', anchors, '-verify', '-text', '-noout'];
    const { stdout: text, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    expect(stderr).toContain('verify OK');
    expect(text).toMatch(/Version 2.*Authority Key Identifier.*CRL Number:\s+7.*Key Compromise/s);
    expect(text.toLowerCase()).toContain(serialNumber);

    const pem = execFileSync('openssl', ['crl', '-inform', 'DER', '-in', crl, '-outform', 'PEM']);
    const attime = ['-attime', String(now / 1000 + 60)];
    const leaf = file('leaf.pem', device.cert);
    const verify = [
      'verify',
      '-crl_check',
      ...attime,
      '-CRLfile',
      file('crl.pem', pem),
      '-CAfile',
      anchors,
      leaf,
    ];
    expect(() => execFileSync('openssl', verify, { stdio: 'pipe' })).toThrow(/certificate revoked/);
    const other = file('other.pem', pki.operational('acme', 'dev-2').cert);
    expect(execFileSync('openssl', [...verify.slice(0, -1), other], { encoding: 'utf8' })).toContain('OK');
  });

  it('as a delta, or of a partition, says so to pkijs as well, which verifies it (RFC 5280 §5.2)', async () => {
    pkijs.setEngine('node', new pkijs.CryptoEngine({ name: 'node', crypto: webcrypto as typeof crypto }));
    const buffer = (der: Uint8Array) => Uint8Array.from(der).buffer;
    const urls = fc.array(
      fc.webPath().map((path) => `http://ca.test${encodeURI(path)}`),
      {
        minLength: 1,
        maxLength: 3,
      },
    );
    const serial = fc.uint8Array({ minLength: 1, maxLength: 18 });
    await fc.assert(
      fc.asyncProperty(
        fc.record(
          {
            baseNumber: fc.nat(),
            freshestUrls: urls,
            scope: fc.record({ urls, onlyUserCerts: fc.boolean() }),
          },
          { requiredKeys: [] },
        ),
        fc.array(serial, { maxLength: 20 }),
        async (facts, serials) => {
          const entries = serials.map((bytes) => ({
            serialNumber: `5a${Buffer.from(bytes).toString('hex')}`,
            revokedAt: now,
          }));
          const der = await make({ ...facts, number: 2 ** 40, entries });
          expect(parseCrl(der)).toMatchObject({
            ...facts,
            ...(facts.baseNumber === undefined ? {} : { baseNumber: BigInt(facts.baseNumber) }),
            unknownCritical: [],
          });
          const theirs = pkijs.CertificateRevocationList.fromBER(buffer(der));
          const issuerCertificate = pkijs.Certificate.fromBER(buffer(issuer.der));
          expect(await theirs.verify({ issuerCertificate })).toBe(true);
          expect(theirs.revokedCertificates?.length ?? 0).toBe(entries.length);
          const extensions = new Map(
            theirs.crlExtensions?.extensions.map((extension) => [extension.extnID, extension]),
          );
          const [delta, point, freshest] = ['2.5.29.27', '2.5.29.28', '2.5.29.46'].map((oid) =>
            extensions.get(oid),
          );
          expect(delta?.critical).toBe(facts.baseNumber === undefined ? undefined : true);
          if (facts.baseNumber !== undefined)
            expect(delta?.parsedValue?.toBigInt()).toBe(BigInt(facts.baseNumber));
          expect(point?.critical).toBe(facts.scope === undefined ? undefined : true);
          if (point !== undefined)
            expect((point.parsedValue as pkijs.IssuingDistributionPoint).onlyContainsUserCerts).toBe(
              facts.scope?.onlyUserCerts,
            );
          expect(freshest?.critical).toBe(facts.freshestUrls === undefined ? undefined : false);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('as a delta is not made for a complete CRL of a higher number', async () => {
    await expect(make({ number: 3, baseNumber: 4 })).rejects.toMatchObject({
      code: 'not-issuable',
      message: 'baseNumber: is above the number of the delta',
    });
  });

  it('made from the one before it lists that, less what ended or changed, and the changes', async () => {
    const entry = fc.record({ which: fc.nat(30), days: fc.integer({ min: -3, max: 3 }) });
    const packed = (list: readonly { which: number; days: number; reason?: CrlReason }[]) =>
      encodeSegment(
        [...new Map(list.map((one) => [one.which, one])).values()].map(({ which, days, reason }) => ({
          serialNumber: (which + 1).toString(16).padStart(4, '0').replace(/^00/, ''),
          revokedAt: now + days * 1000,
          notAfter: now + days * 86_400_000,
          ...(reason === undefined ? {} : { reason }),
        })),
      );
    const change = fc.record({
      which: fc.nat(30),
      days: fc.integer({ min: 1, max: 3 }),
      reason: fc.constantFrom<CrlReason>('superseded', 'removeFromCRL'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry),
        fc.array(change),
        fc.boolean(),
        async (before, after, listRemovals) => {
          const [listed, changes] = [packed(before), packed(after)];
          const merge = { changes, listRemovals, endedBefore: now / 1000 };
          const changed = decodeSegment(changes);
          const touched = new Set(changed.map(({ serialNumber }) => serialNumber));
          const expected = [
            ...decodeSegment(listed).filter(
              ({ serialNumber, notAfter }) => !touched.has(serialNumber) && notAfter >= now,
            ),
            ...changed.filter(({ reason }) => listRemovals || reason !== 'removeFromCRL'),
          ];
          expect(decodeSegment(mergeEntries(listed, merge))).toEqual(expected);
        },
      ),
    );
  });

  it('of openssl is read', () => {
    const config = file(
      'ca.cnf',
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${file('db', '')}\ncrlnumber=${file('n', '01F4')}\n`,
    );
    const key = pki.issuing.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const args = ['ca', '-config', config, '-gencrl', '-keyfile', file('key.pem', key), '-md', 'sha256'];
    const out = join(directory, 'theirs.pem');
    execFileSync(
      'openssl',
      [...args, '-cert', file('ca.pem', pki.issuing.pem), '-crldays', '1', '-out', out],
      {
        stdio: 'ignore',
      },
    );
    const crl = parseCrl(execFileSync('openssl', ['crl', '-in', out, '-outform', 'DER']));
    expect(crl).toMatchObject({ entries: [], number: 500n });
    expect(verifyCrlSignature(crl, issuer)).toBe(true);
  });

  it('is not verified by another CA, by another key under the same name, or once a bit is changed', async () => {
    const der = await make({ entries: [{ serialNumber: '01', revokedAt: now }] });
    const twin = pki.authority({ subject: issuer.subject });
    const mute = pki.authority({
      subject: issuer.subject,
      privateKey: pki.issuing.privateKey,
      keyUsage: ['keyCertSign'],
    });
    for (const { certificate } of [pki.factory, twin, mute])
      expect(verifyCrlSignature(parseCrl(der), certificate)).toBe(false);
    const crl = parseCrl(der);
    const tbsDer = Uint8Array.from(crl.tbsDer);
    tbsDer[60] = (tbsDer[60] ?? 0) ^ 1;
    expect(verifyCrlSignature({ ...crl, tbsDer }, issuer)).toBe(false);
  });

  it('is not made by a CA that may not sign CRLs, by another key, without an end, or of a broken entry', async () => {
    const { certificate } = pki.authority({ keyUsage: ['keyCertSign'] });
    await expect(make({ issuer: certificate })).rejects.toMatchObject({
      code: 'not-issuable',
      message: 'issuer: its keyUsage does not allow it to sign CRLs',
    });
    await expect(make({ signer: keySigner(newTestKey()) })).rejects.toMatchObject({ code: 'signer-failed' });
    await expect(make({ nextUpdate: now })).rejects.toMatchObject({ code: 'not-issuable' });
    await expect(make({ number: -1 })).rejects.toMatchObject({ code: 'malformed' });
    await expect(make({ entries: [{ serialNumber: 'xyz', revokedAt: now }] })).rejects.toMatchObject({
      code: 'malformed',
      message: 'serialNumber: "xyz" is not 1 to 20 bytes in lower-case hex',
    });
  });

  it('of a hundred thousand entries is made and read', async () => {
    const entries = Array.from({ length: 100_000 }, (_, i) => ({
      serialNumber: (i + 0x1000_0000).toString(16).padStart(32, '1'),
      revokedAt: now,
      reason: 'superseded' as const,
    }));
    expect(parseCrl(await make({ entries })).entries).toHaveLength(100_000);
  });

  it('that is cut short or has something after it is refused', async () => {
    const der = await make();
    expect(() => parseCrl(der.subarray(0, -1))).toThrow('truncated');
    expect(() => parseCrl(Buffer.concat([der, Uint8Array.of(0)]))).toThrow('trailing');
    expect(() => parseCrl(issuer.der)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });
});
