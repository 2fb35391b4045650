import process from 'node:process';
import { DeviceFolder } from '../src/device-folder.ts';
import { DurableFiles } from '../src/files/durable-files.ts';
import { type FileCalls, fileCalls } from '../src/files/file-calls.ts';
import { DeviceKeys } from '../src/keys/device-keys.ts';
import { rotate } from '../src/rotation/rotate.ts';

/**
 * `dying-agent.ts <folder> <n>`: rotates, and dies by SIGKILL at the n-th change of its files: before it, and in the
 * middle where it is a write. A number beyond the last lets it live.
 */
const [path = '', at = '0'] = process.argv.slice(2);
const fatal = Number(at);
let changes = 0;

/** What was not asked of the system by then does not happen. */
async function change<T>(call: () => Promise<T>): Promise<T> {
  changes++;
  if (changes === fatal) process.kill(process.pid, 'SIGKILL');
  return await call();
}

/** Calls that change nothing (fsync, close, a folder that is there) are no place to die of their own. */
const dying: FileCalls = {
  ...fileCalls,
  rename: (from, to) => change(() => fileCalls.rename(from, to)),
  remove: (file) => change(() => fileCalls.remove(file)),
  removeFolder: (folder) => change(() => fileCalls.removeFolder(folder)),
  link: (target, path) => change(() => fileCalls.link(target, path)),
  grant: (path, mode, group) => change(() => fileCalls.grant(path, mode, group)),
  async create(file, mode) {
    const open = await change(() => fileCalls.create(file, mode));
    return {
      async write(bytes) {
        const half = Math.floor(bytes.length / 2);
        await change(() => open.write(bytes.subarray(0, half)));
        await change(() => open.write(bytes.subarray(half)));
      },
      sync: () => open.sync(),
      close: () => open.close(),
    };
  },
};

await rotate(new DeviceFolder(path, new DeviceKeys(), new DurableFiles(dying)));
process.exit();
