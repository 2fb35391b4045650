import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AgentError, ownError } from '../agent-error.ts';
import { type FileCalls, fileCalls } from './file-calls.ts';

const UNREADABLE: Readonly<Record<string, string>> = {
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  EISDIR: 'a folder lies in its place',
  ENOTDIR: 'its folder is none',
};

/** Files that are replaced as a whole: after a power cut there is the old one or the new one, never a part of either. */
export class DurableFiles {
  /** For files that are not replaced as a whole. */
  readonly calls: FileCalls;

  constructor(calls: FileCalls = fileCalls) {
    this.calls = calls;
  }

  /** Undefined where there is none. @throws AgentError `broken-folder` where it cannot be read */
  async read(path: string): Promise<string | undefined> {
    return (await this.readBytes(path))?.toString('utf8');
  }

  /** As {@link read}, of a file that need not be text. */
  async readBytes(path: string): Promise<Buffer | undefined> {
    try {
      return await readFile(path);
    } catch (cause) {
      if (!(cause instanceof Error) || !('code' in cause)) throw cause;
      if (cause.code === 'ENOENT') return undefined;
      const reason = UNREADABLE[String(cause.code)] ?? cause.message;
      throw new AgentError('broken-folder', `${path}: ${reason}`, { cause });
    }
  }

  /**
   * For the owner alone (0600, folder 0700). Resolves when a power cut can take it back no more.
   * @throws AgentError `disk`: the file is as it was
   */
  replace(path: string, content: string | Uint8Array): Promise<void> {
    return written(path, async () => {
      const folder = dirname(path);
      await this.calls.makeFolder(folder);
      await this.#write(`${path}.new`, typeof content === 'string' ? Buffer.from(content) : content);
      await this.calls.rename(`${path}.new`, path);
      await this.calls.syncFolder(folder);
    });
  }

  /** Keeps a file, or what lies in its place, under another name. @throws AgentError `disk` */
  move(from: string, to: string): Promise<void> {
    return written(from, async () => {
      await this.calls.makeFolder(dirname(to));
      await this.calls.rename(from, to);
      await this.calls.syncFolder(dirname(to));
      await this.calls.syncFolder(dirname(from));
    });
  }

  /** What is not there is ignored. @throws AgentError `disk` */
  remove(path: string): Promise<void> {
    return written(path, async () => {
      await this.calls.remove(path);
      await this.calls.syncFolder(dirname(path));
    });
  }

  async #write(path: string, content: Uint8Array): Promise<void> {
    const file = await this.calls.create(path, 0o600);
    try {
      await file.write(content);
      await file.sync();
    } catch (error) {
      await file.close().catch(() => {});
      // on a full disk, a part of it would take the room that others need
      if (ownError(error) !== undefined) await this.calls.remove(path).catch(() => {});
      throw error;
    }
    await file.close();
  }
}

async function written(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw ownError(error, path) ?? error;
  }
}
