import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Brought, onPath } from './binaries.ts';

/** Packages of PyPI that tests need, pinned. */
const packages = ['cryptography==50.0.2', 'python-mbedtls==2.10.1'] as const;

/** A Python with the pinned packages, in an environment of its own in the cache. */
export function bringPython(say: (line: string) => void): Brought {
  const python = onPath('python3');
  if (python === undefined) return { missing: 'python: no python3 on the path' };
  const pins = createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 12);
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'signet');
  const folder = join(cache, `python-${pins}`);
  const path = join(folder, 'bin', 'python3');
  const done = join(folder, 'complete');
  if (existsSync(done)) return { path, how: `${packages.join(', ')}, here already` };
  say(`${'python'.padEnd(28)} ${packages.join(', ')}, installing …`);
  mkdirSync(cache, { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  const steps = [
    [python, '-m', 'venv', folder],
    [path, '-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', ...packages],
  ] as const;
  for (const [command, ...args] of steps) {
    const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
    if (status === 0) continue;
    const reason = error?.message ?? stderr.trim().split('\n').at(-1);
    return { missing: `python: ${args.slice(0, 3).join(' ')} failed: ${reason}` };
  }
  writeFileSync(done, '');
  return { path, how: `${packages.join(', ')}, installed` };
}
