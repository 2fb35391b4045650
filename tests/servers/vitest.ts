import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export const repository = join(import.meta.dirname, '..', '..');

/** Starts vitest as a child in the repository, with this process's environment and `env` over it. */
export function spawnVitest(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  output: 'inherit' | 'pipe' = 'inherit',
): ChildProcess {
  const manifest = createRequire(import.meta.url).resolve('vitest/package.json');
  return spawn(process.execPath, [join(manifest, '..', 'vitest.mjs'), ...args], {
    cwd: repository,
    env: {
      NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/signet'),
      ...process.env,
      ...env,
    },
    stdio: output === 'inherit' ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  });
}
