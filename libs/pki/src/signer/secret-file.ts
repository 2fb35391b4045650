import { randomUUID } from 'node:crypto';
import { link, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PkiError } from '../pki-error.ts';

/** No secret file of ours is longer. */
const MAX_BYTES = 64 * 1024;

/**
 * Writes a file of mode 0600 that must not exist yet: temporary file, fsync, then a hard link to its name, which
 * fails where the name is taken; so of two processes that start together one wins and none overwrites the other's.
 * Returns false where the file exists.
 */
export async function writeSecretFile(path: string, content: string): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(temporary);
  }
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return true;
}

/**
 * Reads a file that only its owner may read or write.
 * Throws `PkiError`: `key-file` where it is missing or cannot be read, `unsafe-file-mode` where others may read it.
 */
export async function readSecretFile(path: string): Promise<string> {
  const file = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'does not exist' : `cannot be read (${cause.code})`;
    throw new PkiError('key-file', `${path}: ${reason}`, { cause });
  });
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o177) !== 0) {
      const found = (mode & 0o777).toString(8).padStart(4, '0');
      throw new PkiError('unsafe-file-mode', `${path}: mode is ${found}, must be 0600 or narrower`);
    }
    if (size > MAX_BYTES)
      throw new PkiError('key-file', `${path}: ${size} bytes, at most ${MAX_BYTES} are read`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
