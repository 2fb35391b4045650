import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Brought, onPath } from './binaries.ts';

/** A file system of its own, of a few MB, that can be filled. */
export type SmallDisk = Disposable & {
  readonly path: string;
  /** Takes all that is left of it. */
  fill(): void;
  /** Gives that back. */
  free(): void;
};

/** Mounts it. Needs the requirement `mount`. */
export function mountSmallDisk(megabytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'signet-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'signet-test', path]);
  const filler = join(path, 'filler');
  return {
    path,
    fill() {
      const file = openSync(filler, 'a');
      try {
        for (let size = 65_536; size > 0; size = Math.floor(size / 2)) {
          const chunk = Buffer.alloc(size, 1);
          try {
            for (;;) writeSync(file, chunk);
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          }
        }
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(filler, { force: true }),
    [Symbol.dispose]() {
      execFileSync('umount', ['-l', path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Whether a tmpfs can be mounted here, found out by doing it. */
export function bringMount(): Brought {
  const mount = onPath('mount');
  if (mount === undefined) return { missing: 'mount: not on the path' };
  try {
    mountSmallDisk(1)[Symbol.dispose]();
    return { path: mount, how: 'may mount a tmpfs' };
  } catch (error) {
    return { missing: `mount: a tmpfs cannot be mounted (${(error as Error).message.split('\n')[0]})` };
  }
}
