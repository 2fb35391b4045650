import { randomBytes } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../agent-error.ts';
import { type FileCalls, fileCalls } from '../files/file-calls.ts';

/** Names of files → what is in them. */
export type Contents = Readonly<Record<string, string>>;

export type Access = {
  /** The group that may read, by its number; by default nobody but the owner may. */
  readonly group?: number | undefined;
};

const CURRENT = 'current';
const VERSION = /^v-[0-9a-f]{16}$/;

/**
 * Files that change together: each set is a folder of its own, and `current` a symbolic link to the one in force. The link
 * is replaced in one rename, when all it leads to is on the disk; then the older sets go. Whoever opens `current` has one
 * set or the next, before and after a power cut, and never parts of both.
 */
export class VersionedFolder {
  readonly path: string;
  readonly #access: Access;
  readonly #calls: FileCalls;

  constructor(path: string, access: Access = {}, calls: FileCalls = fileCalls) {
    this.path = path;
    this.#access = access;
    this.#calls = calls;
  }

  /** The set in force; empty where there is none. */
  async current(): Promise<Contents> {
    const version = await this.#version();
    if (version === undefined) return {};
    const folder = join(this.path, version);
    const files = await readdir(folder).catch(() => []);
    const read = async (name: string) => [name, await readFile(join(folder, name), 'utf8')] as const;
    return Object.fromEntries(await Promise.all(files.map(read)));
  }

  /** Puts a set in force, and removes every other. @throws AgentError `disk` */
  async replace(contents: Contents): Promise<void> {
    await this.#onDisk(async () => {
      const version = `v-${randomBytes(8).toString('hex')}`;
      await this.#makeFolder(this.path);
      await this.#makeFolder(join(this.path, version));
      for (const [name, content] of Object.entries(contents))
        await this.#write(join(this.path, version, name), content);
      await this.#calls.syncFolder(join(this.path, version));
      const link = join(this.path, `${CURRENT}.new`);
      await this.#calls.remove(link);
      await this.#calls.link(version, link);
      await this.#calls.rename(link, join(this.path, CURRENT));
      await this.#calls.syncFolder(this.path);
    });
    await this.tidy();
  }

  /** Removes what a power cut has left besides the set in force. @throws AgentError `disk` */
  async tidy(): Promise<void> {
    await this.#onDisk(async () => {
      const version = await this.#version();
      const names = await readdir(this.path).catch(() => []);
      const old = names.filter((name) => VERSION.test(name) && name !== version);
      for (const name of old) await this.#calls.removeFolder(join(this.path, name));
      if (old.length > 0) await this.#calls.syncFolder(this.path);
    });
  }

  async #version(): Promise<string | undefined> {
    const target = await readlink(join(this.path, CURRENT)).catch(() => '');
    return VERSION.test(target) ? target : undefined;
  }

  async #makeFolder(path: string): Promise<void> {
    const { group } = this.#access;
    await this.#calls.makeFolder(path);
    await this.#calls.grant(path, group === undefined ? 0o700 : 0o750, group);
  }

  async #write(path: string, content: string): Promise<void> {
    const { group } = this.#access;
    const file = await this.#calls.create(path, 0o600);
    try {
      await file.write(Buffer.from(content));
      await file.sync();
    } finally {
      await file.close();
    }
    if (group !== undefined) await this.#calls.grant(path, 0o640, group);
  }

  async #onDisk(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      if (!(cause instanceof Error) || !('syscall' in cause)) throw cause;
      throw new AgentError('disk', `${this.path}: ${cause.message}`, { cause });
    }
  }
}
