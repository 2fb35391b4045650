import { createPrivateKey, type KeyObject } from 'node:crypto';
import { generateKeyPair } from '../keys.ts';
import { PkiError } from '../pki-error.ts';
import { encryptKey } from './encrypted-key.ts';
import { keySigner } from './key-signer.ts';
import { readSecretFile, writeSecretFile } from './secret-file.ts';
import type { Signer } from './signer.ts';

const ARMOUR = '-----BEGIN ENCRYPTED PRIVATE KEY-----';

/**
 * Makes a key and keeps it in a new file of mode 0600, encrypted (PKCS#8, AES-256, scrypt).
 * Throws `PkiError` `key-file` where the file exists: a CA key is never overwritten.
 */
export async function createKeyFile(
  path: string,
  passphrase: string,
  algorithm: Parameters<typeof generateKeyPair>[0] = 'P-256',
): Promise<Signer> {
  if (passphrase === '')
    throw new PkiError('wrong-passphrase', `${path}: an empty passphrase encrypts nothing`);
  const { privateKey } = generateKeyPair(algorithm);
  if (!(await writeSecretFile(path, await encryptKey(privateKey, passphrase))))
    throw new PkiError('key-file', `${path}: exists already`);
  return keySigner(privateKey);
}

/**
 * Opens a key file that {@link createKeyFile} or `openssl genpkey -aes256` made.
 * Throws `PkiError`: `key-file`, `unsafe-file-mode`, `wrong-passphrase`, `unsupported-key`; each names the file.
 */
export async function openKeyFile(path: string, passphrase: string): Promise<Signer> {
  const pem = await readSecretFile(path);
  if (!pem.includes(ARMOUR))
    throw new PkiError('key-file', `${path}: an encrypted PKCS#8 key in PEM expected`);
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch (cause) {
    throw new PkiError('wrong-passphrase', `${path}: does not open with this passphrase, or is damaged`, {
      cause,
    });
  }
  try {
    return keySigner(key);
  } catch (cause) {
    throw cause instanceof PkiError
      ? new PkiError(cause.code, `${path}: ${cause.message}`, { cause })
      : cause;
  }
}
