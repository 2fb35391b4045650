import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export type ReplaceOptions = {
  /** Of the file. Default 0600: its owner alone. A folder that is made here is 0700. */
  readonly mode?: number;
};

/**
 * Replaces a file as a whole: after a crash, a power cut or a full disk there is all of the new one, or the old one. What
 * it resolves for is on the disk: file and folder are synced. Writers of one file may overlap; the last rename wins.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: ReplaceOptions = {},
): Promise<void> {
  await writeWith(path, (file) => file.writeFile(content), options);
}

/** As {@link replaceFile}, for content that `write` puts into the temporary file piece by piece. */
export async function writeWith(
  path: string,
  write: (file: FileHandle) => Promise<void>,
  { mode = 0o600 }: ReplaceOptions = {},
): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomUUID()}.new`;
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}
