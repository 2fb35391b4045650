import { join } from 'node:path';
import process from 'node:process';

/**
 * `npm start`. The process becomes the platform: no parent is left between it and whoever sends a signal, and its exit
 * code is the platform's.
 */
const flags = [
  // a larger young generation: what a connection allocates dies there, and is not copied on
  '--max-semi-space-size=16',
  // the heap that a platform at rest has, so that its start does not collect on the way there
  '--initial-old-space-size=96',
  // grows by half in place of doubling: memory follows the fleet more closely
  '--heap-growing-percent=50',
];

const env = {
  // glibc makes an arena for each thread, up to eight a core, and gives none of them back
  MALLOC_ARENA_MAX: '2',
  // what was compiled at the last start is not compiled again
  NODE_COMPILE_CACHE: join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'signet'),
  ...process.env,
};

const main = join(import.meta.dirname, 'main.ts');
if (process.execve === undefined) throw new Error('npm start needs a Node that has process.execve');
process.execve(process.execPath, [process.execPath, ...flags, main, ...process.argv.slice(2)], env);
