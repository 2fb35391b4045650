import { copyFile, rename, rm, truncate } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type FileCalls, fileCalls } from '../src/files/file-calls.ts';

/** Files whose fsync costs nothing, for tests that cut no power. */
export const quickFiles: FileCalls = {
  ...fileCalls,
  async create(path, mode) {
    return { ...(await fileCalls.create(path, mode)), sync: async () => {} };
  },
  syncFolder: async () => {},
};

/**
 * Files on a disk whose power is cut at the n-th change: in the middle of a write, before any other. Nothing happens
 * after. `lose` then takes back what no fsync had brought to the disk: the ends of files (how much, `random` says), and
 * the names in folders.
 */
export class CutPower {
  readonly #at: number;
  readonly #random: () => number;
  readonly #files = new Map<string, { written: number; synced: number }>();
  /** By folder, the names that are not on the disk yet: made, or removed with a copy of what they were. */
  readonly #names = new Map<string, { path: string; was: string | undefined }[]>();
  #changes = 0;
  isCut = false;

  constructor(at: number, random: () => number) {
    this.#at = at;
    this.#random = random;
  }

  readonly calls: FileCalls = {
    ...fileCalls,
    makeFolder: (path) => this.#unlessCut(() => fileCalls.makeFolder(path)),
    create: (path, mode) => this.#change(() => this.#create(path, mode)),
    rename: () => Promise.reject(new Error('no queue renames what is sound')),
    remove: (path) => this.#change(() => this.#remove(path)),
    syncFolder: (path) =>
      this.#unlessCut(async () => {
        for (const { was } of this.#names.get(path) ?? []) if (was !== undefined) await rm(was);
        this.#names.delete(path);
      }),
  };

  /** What the machine finds when it has power again. */
  async lose(): Promise<void> {
    for (const [path, { written, synced }] of this.#files)
      await truncate(path, synced + Math.floor(this.#random() * (written - synced + 1))).catch(() => {});
    for (const changed of this.#names.values())
      for (const { path, was } of changed.reverse())
        if (was !== undefined) await rename(was, path);
        else await rm(path, { force: true });
  }

  async #create(path: string, mode: number) {
    const isNew = !this.#files.has(path);
    const file = await fileCalls.create(path, mode);
    const state = { written: 0, synced: 0 };
    this.#files.set(path, state);
    if (isNew) this.#unsynced({ path, was: undefined });
    return {
      write: async (bytes: Uint8Array) => {
        const half = Math.floor(bytes.length / 2);
        await this.#change(async () => {
          await file.write(bytes.subarray(0, half));
          state.written += half;
        });
        await this.#change(async () => {
          await file.write(bytes.subarray(half));
          state.written += bytes.length - half;
        });
      },
      sync: () =>
        this.#unlessCut(async () => {
          state.synced = state.written;
        }),
      close: () => file.close(),
    };
  }

  async #remove(path: string): Promise<void> {
    const was = `${dirname(path)}/was-${basename(path)}`;
    await copyFile(path, was);
    await fileCalls.remove(path);
    this.#files.delete(path);
    this.#unsynced({ path, was });
  }

  #unsynced(name: { path: string; was: string | undefined }): void {
    const folder = dirname(name.path);
    this.#names.set(folder, [...(this.#names.get(folder) ?? []), name]);
  }

  async #change<T>(call: () => Promise<T>): Promise<T> {
    if (++this.#changes === this.#at) this.isCut = true;
    return await this.#unlessCut(call);
  }

  async #unlessCut<T>(call: () => Promise<T>): Promise<T> {
    if (this.isCut) throw new Error('the power is cut');
    return await call();
  }
}
