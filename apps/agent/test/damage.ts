import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceFolder } from '../src/index.ts';

/** What happens to the files of a device folder. */
export type Damage = (folder: DeviceFolder) => Promise<void>;

export const path = (folder: DeviceFolder, file: string) => join(folder.path, file);
export const write = (file: string, text: string) => async (folder: DeviceFolder) => {
  await mkdir(join(path(folder, file), '..'), { recursive: true });
  await writeFile(path(folder, file), text, { mode: 0o600 });
};
export const cut = (file: string) => async (folder: DeviceFolder) => {
  const text = await readFile(path(folder, file), 'utf8');
  await writeFile(path(folder, file), text.slice(0, text.length / 2));
};
export const also =
  (first: (folder: DeviceFolder) => Promise<void>, then: (folder: DeviceFolder) => Promise<void>) =>
  async (folder: DeviceFolder) => {
    await first(folder);
    await then(folder);
  };
export const changed = (file: string, change: (text: string) => string) => async (folder: DeviceFolder) =>
  writeFile(path(folder, file), change(await readFile(path(folder, file), 'utf8')));
export const aFolder = (file: string) => async (folder: DeviceFolder) => {
  await rm(path(folder, file), { force: true });
  await mkdir(path(folder, file));
};
