import { chmod, chown, mkdir, open, rename, rm, symlink } from 'node:fs/promises';
import process from 'node:process';

/** A file that is being written. */
export type OpenFile = {
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when the disk has it. */
  sync(): Promise<void>;
  close(): Promise<void>;
};

/** Every way in which the agent changes its files. A test stands here and cuts the power between any two of them. */
export type FileCalls = {
  makeFolder(path: string): Promise<void>;
  /** Makes it, or empties it. */
  create(path: string, mode: number): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  /** Makes a symbolic link at `path`. */
  link(target: string, path: string): Promise<void>;
  /** Who may use a file or folder: its mode, and the group whose it is from now on. */
  grant(path: string, mode: number, group?: number): Promise<void>;
  /** What is not there is ignored. */
  remove(path: string): Promise<void>;
  /** With all that is in it; what is not there is ignored. */
  removeFolder(path: string): Promise<void>;
  /** Resolves when the disk has the names in it. */
  syncFolder(path: string): Promise<void>;
};

export const fileCalls: FileCalls = {
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  async create(path, mode) {
    const file = await open(path, 'w', mode);
    return {
      write: async (bytes) => void (await file.writeFile(bytes)),
      sync: () => file.sync(),
      close: () => file.close(),
    };
  },
  rename,
  link: (target, path) => symlink(target, path),
  async grant(path, mode, group) {
    if (group !== undefined) await chown(path, process.geteuid?.() ?? 0, group);
    await chmod(path, mode);
  },
  remove: (path) => rm(path, { force: true }),
  removeFolder: (path) => rm(path, { recursive: true, force: true }),
  async syncFolder(path) {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  },
};
