import { join } from 'node:path';

/** Flags of Node that the platform runs with. */
export const nodeFlags: readonly string[] = [
  // a larger young generation: what a connection allocates dies there, and is not copied on
  '--max-semi-space-size=16',
  // the heap that a platform at rest has, so that its start does not collect on the way there
  '--initial-old-space-size=96',
  // grows by half in place of doubling: memory follows the fleet more closely
  '--heap-growing-percent=50',
];

/** Environment variables that it runs with, where the user sets no others. */
export const nodeEnvironment: Readonly<Record<string, string>> = {
  // glibc makes an arena for each thread, up to eight a core, and gives none of them back
  MALLOC_ARENA_MAX: '2',
  // what was compiled at the last start is not compiled again
  NODE_COMPILE_CACHE: join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'signet'),
};
