import { execFileSync } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashOf } from '../signature-algorithm.ts';
import { createKeyFile, openKeyFile } from './file-signer.ts';
import { passphraseFile } from './passphrase-file.ts';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'signet-keys-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const data = Buffer.from('to be signed');

describe('a key file', () => {
  it.each([
    ['P-256', 'ecdsa-with-SHA256'],
    ['P-384', 'ecdsa-with-SHA384'],
    ['Ed25519', 'Ed25519'],
    ['RSA-3072', 'sha256WithRSAEncryption'],
  ] as const)(
    'keeps a %s key, encrypted, for its owner only, that signs after it is opened again',
    async (type, algorithm) => {
      const path = at(`${type}.pem`);
      const made = await createKeyFile(path, 'correct horse', type);
      const opened = await openKeyFile(path, 'correct horse');
      expect(opened.algorithm).toBe(algorithm);
      expect(opened.publicKey.equals(made.publicKey)).toBe(true);
      expect(verify(hashOf(algorithm), data, made.publicKey, await opened.sign(data))).toBe(true);
      expect(modeOf(path)).toBe('600');
      expect(readFileSync(path, 'utf8')).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    },
  );

  it('is read by openssl, which names its cipher and key derivation', async () => {
    const made = await createKeyFile(at('openssl.pem'), 'correct horse');
    const spki = execFileSync('openssl', [
      'pkey',
      '-in',
      at('openssl.pem'),
      '-passin',
      'pass:correct horse',
      '-pubout',
    ]);
    expect(createPublicKey(spki).equals(made.publicKey)).toBe(true);
    const parsed = execFileSync('openssl', ['asn1parse', '-in', at('openssl.pem')], { encoding: 'utf8' });
    expect(parsed).toMatch(/PBES2.*scrypt.*aes-256-cbc/s);
  });

  it('that openssl made is opened', async () => {
    const args = ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-aes256'];
    execFileSync('openssl', [...args, '-pass', 'pass:correct horse', '-out', at('made.pem')], {
      stdio: 'ignore',
    });
    chmodSync(at('made.pem'), 0o600);
    expect((await openKeyFile(at('made.pem'), 'correct horse')).algorithm).toBe('ecdsa-with-SHA256');
  });

  it('is never overwritten, not by two that start together either, and leaves no temporary file', async () => {
    const path = at('once.pem');
    const both = await Promise.allSettled([
      createKeyFile(path, 'a passphrase'),
      createKeyFile(path, 'a passphrase'),
    ]);
    const made = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(made).toHaveLength(1);
    expect(both.find((one) => one.status === 'rejected')).toMatchObject({
      reason: { code: 'key-file', message: `${path}: exists already` },
    });
    const opened = await openKeyFile(path, 'a passphrase');
    expect(made[0]?.publicKey.equals(opened.publicKey)).toBe(true);
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('does not open with another passphrase, and says which file', async () => {
    const path = at('locked.pem');
    await createKeyFile(path, 'correct horse');
    await expect(openKeyFile(path, 'wrong horse')).rejects.toMatchObject({
      code: 'wrong-passphrase',
      message: `${path}: does not open with this passphrase, or is damaged`,
    });
    await expect(createKeyFile(at('empty.pem'), '')).rejects.toMatchObject({ code: 'wrong-passphrase' });
  });

  it.each([0o640, 0o604, 0o700, 0o666])('of mode %o is refused', async (mode) => {
    const path = at(`mode-${mode}.pem`);
    await createKeyFile(path, 'correct horse');
    chmodSync(path, mode);
    await expect(openKeyFile(path, 'correct horse')).rejects.toMatchObject({
      code: 'unsafe-file-mode',
      message: `${path}: mode is 0${mode.toString(8)}, must be 0600 or narrower`,
    });
  });

  it('that is missing, not encrypted, or of a kind of key that no CA has, is refused', async () => {
    await expect(openKeyFile(at('missing.pem'), 'x')).rejects.toMatchObject({
      code: 'key-file',
      message: `${at('missing.pem')}: does not exist`,
    });
    const bare = execFileSync('openssl', ['genpkey', '-algorithm', 'ED25519']);
    writeFileSync(at('bare.pem'), bare, { mode: 0o600 });
    await expect(openKeyFile(at('bare.pem'), 'x')).rejects.toMatchObject({
      code: 'key-file',
      message: `${at('bare.pem')}: an encrypted PKCS#8 key in PEM expected`,
    });
    const args = ['genpkey', '-algorithm', 'X25519', '-aes256', '-pass', 'pass:x'];
    writeFileSync(at('x25519.pem'), execFileSync('openssl', args), { mode: 0o600 });
    await expect(openKeyFile(at('x25519.pem'), 'x')).rejects.toMatchObject({
      code: 'unsupported-key',
      message: expect.stringContaining(at('x25519.pem')),
    });
  });
});

describe('a passphrase file', () => {
  it('is made at first start, for its owner only, and read at the next; of two first starts one makes it', async () => {
    const path = at('passphrase');
    const [first, second] = await Promise.all([passphraseFile(path), passphraseFile(path)]);
    expect(first).toMatch(/^[\w-]{43}$/);
    expect(second).toBe(first);
    expect(await passphraseFile(path)).toBe(first);
    expect(modeOf(path)).toBe('600');
  });

  it('that others may read, or that is empty, is refused', async () => {
    const path = at('shared-passphrase');
    await passphraseFile(path);
    chmodSync(path, 0o644);
    await expect(passphraseFile(path)).rejects.toMatchObject({
      code: 'unsafe-file-mode',
      message: `${path}: mode is 0644, must be 0600 or narrower`,
    });
    writeFileSync(at('empty'), '', { mode: 0o600 });
    await expect(passphraseFile(at('empty'))).rejects.toMatchObject({ code: 'key-file' });
  });
});
