import { mkdir, open, rename, rm } from 'node:fs/promises';

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
  /** What is not there is ignored. */
  remove(path: string): Promise<void>;
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
  remove: (path) => rm(path, { force: true }),
  async syncFolder(path) {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  },
};
