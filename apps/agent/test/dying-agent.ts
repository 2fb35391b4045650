import process from 'node:process';
import { type FileCalls, fileCalls } from '../src/files/file-calls.ts';
import { DeviceFolder, DeviceKeys, DurableFiles, rotate } from '../src/index.ts';

/**
 * `dying-agent.ts <folder> <n>`: rotates, and dies by SIGKILL at the n-th change of its files: before it, and in the
 * middle where it is a write. With n = 0 it lives.
 */
const [path = '', at = '0'] = process.argv.slice(2);
const fatal = Number(at);
let changes = 0;

/** What is on its way out of this process then is gone, as with the power. */
async function change<T>(call: () => Promise<T>): Promise<T> {
  changes++;
  if (changes === fatal) process.kill(process.pid, 'SIGKILL');
  return await call();
}

const dying: FileCalls = {
  makeFolder: (folder) => change(() => fileCalls.makeFolder(folder)),
  rename: (from, to) => change(() => fileCalls.rename(from, to)),
  remove: (file) => change(() => fileCalls.remove(file)),
  syncFolder: (folder) => change(() => fileCalls.syncFolder(folder)),
  async create(file, mode) {
    const open = await change(() => fileCalls.create(file, mode));
    return {
      async write(bytes) {
        const half = Math.floor(bytes.length / 2);
        await change(() => open.write(bytes.subarray(0, half)));
        await change(() => open.write(bytes.subarray(half)));
      },
      sync: () => change(() => open.sync()),
      close: () => change(() => open.close()),
    };
  },
};

await rotate(new DeviceFolder(path, new DeviceKeys(), new DurableFiles(dying)));
process.exit();
