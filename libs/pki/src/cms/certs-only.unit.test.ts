import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestPki } from '@signet/pki/testing';
import fc from 'fast-check';
import { ContentInfo, SignedData } from 'pkijs';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeCertsOnly, encodeCertsOnly } from './certs-only.ts';

const pki = createTestPki();
const ders = [pki.root, pki.issuing, pki.operational('acme', 'dev-1')].map(
  ({ certificate }) => certificate.der,
);
const answer = encodeCertsOnly(ders);

const directory = mkdtempSync(join(tmpdir(), 'signet-cms-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string, content: string): string => {
  writeFileSync(join(directory, name), content);
  return join(directory, name);
};

describe('a certs-only answer', () => {
  it('gives back what went in, in the order of DER (X.690 §11.6), whatever the order was', () => {
    expect(decodeCertsOnly(answer)).toEqual(ders.toSorted(Buffer.compare));
    expect(encodeCertsOnly(ders.toReversed())).toEqual(answer);
    expect(decodeCertsOnly(encodeCertsOnly([]))).toEqual([]);
  });

  it('is read by openssl', () => {
    const out = execFileSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs', '-noout'], {
      input: answer,
      encoding: 'utf8',
    });
    for (const name of ['Test root', 'Test issuing CA', 'dev-1']) expect(out).toContain(name);
  });

  it('is read by strongSwan', () => {
    const out = execFileSync('pki', ['--pkcs7', '--show'], {
      input: answer,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    expect(out.match(/-----BEGIN CERTIFICATE/g)).toHaveLength(ders.length);
  });

  it('is SignedData of version 1 without content, digests and signers for pkijs too (RFC 5652 §5.1)', () => {
    const info = ContentInfo.fromBER(answer);
    const data = new SignedData({ schema: info.content });
    expect(data).toMatchObject({ version: 1, digestAlgorithms: [], signerInfos: [] });
    expect(data.encapContentInfo).toMatchObject({ eContentType: '1.2.840.113549.1.7.1' });
    expect(data.encapContentInfo.eContent).toBeUndefined();
    expect(data.certificates).toHaveLength(ders.length);
  });

  it('of openssl is read', () => {
    const certificates = file('certificates.pem', pki.root.pem + pki.issuing.pem);
    const made = execFileSync('openssl', [
      'crl2pkcs7',
      '-nocrl',
      '-certfile',
      certificates,
      '-outform',
      'DER',
    ]);
    const roots = [pki.root, pki.issuing].map(({ certificate }) => Buffer.from(certificate.der));
    expect(decodeCertsOnly(made).map((der) => Buffer.from(der))).toEqual(expect.arrayContaining(roots));
  });

  it('with signers, of another type, cut short or with something after it is refused', () => {
    const malformed = (message: RegExp) =>
      expect.objectContaining({ code: 'malformed', message: expect.stringMatching(message) });
    expect(() => decodeCertsOnly(answer.subarray(0, -1))).toThrow(malformed(/truncated/));
    expect(() => decodeCertsOnly(Buffer.concat([answer, Uint8Array.of(0)]))).toThrow(malformed(/trailing/));
    expect(() => decodeCertsOnly(pki.root.certificate.der)).toThrow(malformed(/^certs-only answer: tag/));
    const { cert, key } = pki.operational('acme', 'dev-1');
    const args = ['cms', '-sign', '-signer', file('signer.pem', cert + key), '-nodetach', '-outform', 'DER'];
    const signed = execFileSync('openssl', args, { input: 'content' });
    expect(() => decodeCertsOnly(signed)).toThrow(malformed(/^certs-only answer/));
  });

  it('of any bytes is read or refused with a reason', () => {
    fc.assert(
      fc.property(fc.nat(answer.length - 1), fc.nat(255), (at, byte) => {
        const changed = Uint8Array.from(answer);
        changed[at] = byte;
        try {
          decodeCertsOnly(changed);
        } catch (error) {
          expect(error).toMatchObject({ name: 'PkiError' });
        }
      }),
    );
  });
});
