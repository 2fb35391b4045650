import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { DeviceFolder } from '../device-folder.ts';
import { type Remedy, SET_ASIDE } from './finding.ts';

/** Takes a file out of use, so that the agent goes on without it; `then` says how, and `prepare` makes that possible. */
export function setAside(
  folder: DeviceFolder,
  file: string,
  then: string,
  prepare: () => Promise<void> = async () => {},
): Remedy {
  return {
    says: `set it aside; ${then}`,
    async apply() {
      await prepare();
      const kept = `${file.replaceAll('/', '_')}.${randomUUID().slice(0, 8)}`;
      await folder.files.move(join(folder.path, file), join(folder.path, SET_ASIDE, kept));
    },
  };
}
