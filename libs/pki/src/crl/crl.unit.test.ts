import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keySigner } from '@signet/pki';
import { createTestPki, newTestKey } from '@signet/pki/testing';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type CrlInput, createCrl } from './create-crl.ts';
import { type CrlEntry, type CrlReason, crlReasons } from './crl.ts';
import { parseCrl, verifyCrlSignature } from './parse-crl.ts';

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
        serialNumber: fc.uint8Array({ minLength: 1, maxLength: 20 }).map((octets) => {
          const [first = 0] = octets;
          return Buffer.from(first === 0 && octets.length > 1 ? octets.fill(1, 0, 1) : octets).toString(
            'hex',
          );
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
      message: 'serialNumber: "xyz" is not 1 to 20 octets in lower-case hex',
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
