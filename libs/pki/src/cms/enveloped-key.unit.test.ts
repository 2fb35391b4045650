import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createCsr } from '../create-csr.ts';
import { parseKeylessCsr } from '../csr.ts';
import { DerReader } from '../der/reader.ts';
import { constructed, TAG } from '../der/tags.ts';
import { der, octetString, oid, owned, sequence } from '../der/writer.ts';
import { issueRoot } from '../issuance/root.ts';
import { generateKeyPair } from '../keys.ts';
import { keySigner } from '../signer/key-signer.ts';
import { type ContentCipher, wantedEncryption } from './decrypt-key.ts';
import { encodeEnvelopedKey } from './enveloped-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'signet-cms-'));
afterAll(() => rmSync(folder, { recursive: true }));

type KeyType = Parameters<typeof generateKeyPair>[0];

async function party(type: KeyType, commonName: string) {
  const { privateKey } = generateKeyPair(type);
  const issuedAt = Date.now();
  const certificate = await issueRoot({
    subject: { commonName },
    signer: keySigner(privateKey),
    issuedAt,
    notAfter: issuedAt + 86_400_000,
  });
  return { privateKey, certificate };
}

function openssl(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  expect({ args, status, stderr }).toMatchObject({ status: 0 });
}

describe('a private key in EnvelopedData (RFC 7030 §4.4.2, RFC 5958 §4)', () => {
  it.each<[KeyType, ContentCipher]>([
    ['P-256', 'AES-256-CBC'],
    ['P-256', 'AES-128-CBC'],
    ['P-384', 'AES-256-CBC'],
    ['RSA-2048', 'AES-256-CBC'],
    ['RSA-2048', 'AES-128-CBC'],
  ])('is opened by openssl with a key of %s and %s, and its maker verified', async (type, cipher) => {
    const recipient = await party(type, 'device');
    const signer = await party('P-256', 'server');
    const made = generateKeyPair('P-256').privateKey.export({ type: 'pkcs8', format: 'der' });
    const enveloped = await encodeEnvelopedKey({
      privateKey: new Uint8Array(made),
      recipient: recipient.certificate,
      cipher,
      signer,
    });
    expect(Buffer.from(enveloped).includes(made.subarray(-32))).toBe(false);
    writeFileSync(join(folder, 'key.p7'), enveloped);
    writeFileSync(join(folder, 'device.pem'), recipient.certificate.pem());
    writeFileSync(join(folder, 'device.key'), recipient.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    openssl(
      'cms',
      '-decrypt',
      '-inform',
      'DER',
      '-in',
      'key.p7',
      '-recip',
      'device.pem',
      '-inkey',
      'device.key',
      '-out',
      'signed.der',
      '-binary',
    );
    const signedData = readFileSync(join(folder, 'signed.der'));
    const info = sequence(oid('1.2.840.113549.1.7.2'), der(constructed(0), signedData));
    writeFileSync(join(folder, 'signed.p7'), info);
    writeFileSync(join(folder, 'server.pem'), signer.certificate.pem());
    openssl(
      'cms',
      '-verify',
      '-inform',
      'DER',
      '-in',
      'signed.p7',
      '-noverify',
      '-certfile',
      'server.pem',
      '-nointern',
      '-out',
      'package.der',
      '-binary',
    );
    const keys = DerReader.sequence(new Uint8Array(readFileSync(join(folder, 'package.der'))), 'key package');
    expect(Buffer.from(keys.element(TAG.SEQUENCE, 'key'))).toEqual(made);
    keys.finish('key package');
  });

  it('is not made for a key that can open nothing', async () => {
    const recipient = await party('Ed25519', 'device');
    const signer = await party('P-256', 'server');
    const wanted = { privateKey: new Uint8Array(1), recipient: recipient.certificate, signer };
    await expect(encodeEnvelopedKey({ ...wanted, cipher: 'AES-256-CBC' })).rejects.toMatchObject({
      code: 'unsupported-key',
      message: expect.stringMatching(/ed25519/),
    });
  });
});

describe('what a CSR asks for its key (RFC 7030 §4.4.1)', () => {
  const SMIME_CAPABILITIES = '1.2.840.113549.1.9.15';
  const ASYMMETRIC = '1.2.840.113549.1.9.16.2.54';
  const id = owned(octetString(Uint8Array.of(1, 2)));
  const wanted = (entries: [string, Uint8Array][]) => wantedEncryption({ otherAttributes: new Map(entries) });

  it('is nothing where it says nothing', () => {
    const { privateKey } = generateKeyPair('P-256');
    expect(wantedEncryption(parseKeylessCsr(createCsr({ privateKey })))).toBeUndefined();
  });

  it('is the key that it names, and the first cipher of ours that it takes', () => {
    const capabilities = sequence(
      sequence(oid('1.2.840.113549.3.7')),
      sequence(oid('2.16.840.1.101.3.4.1.2')),
    );
    expect(wanted([[ASYMMETRIC, id]])).toEqual({
      asymmetric: new Uint8Array([1, 2]),
      cipher: 'AES-256-CBC',
    });
    expect(
      wanted([
        [ASYMMETRIC, id],
        [SMIME_CAPABILITIES, capabilities],
      ])?.cipher,
    ).toBe('AES-128-CBC');
  });

  it('is no cipher where it takes none of ours', () => {
    const capabilities = sequence(sequence(oid('1.2.840.113549.3.7')));
    expect(
      wanted([
        [ASYMMETRIC, id],
        [SMIME_CAPABILITIES, capabilities],
      ])?.cipher,
    ).toBeUndefined();
  });

  it('is refused where the identifier is no OCTET STRING', () => {
    expect(() => wanted([[ASYMMETRIC, sequence()]])).toThrow(
      expect.objectContaining({
        code: 'malformed',
        message: expect.stringMatching(/AsymmetricDecryptKeyIdentifier/),
      }),
    );
  });
});
