import { randomBytes } from 'node:crypto';
import { access } from 'node:fs/promises';
import { PkiError } from '../pki-error.ts';
import { readSecretFile, writeSecretFile } from './secret-file.ts';

/** Shorter than this is a damaged file or a passphrase that can be guessed. */
const MIN_LENGTH = 16;

/**
 * The passphrase that encrypts key files, from a file of mode 0600: made at first start (256 random bits), read later.
 * Throws `PkiError`: `unsafe-file-mode` where others may read it, `key-file` where it cannot be read or is too short.
 */
export async function passphraseFile(path: string): Promise<string> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists) await writeSecretFile(path, `${randomBytes(32).toString('base64url')}\n`);
  const passphrase = (await readSecretFile(path)).trim();
  if (passphrase.length < MIN_LENGTH)
    throw new PkiError('key-file', `${path}: a passphrase of at least ${MIN_LENGTH} characters expected`);
  return passphrase;
}
