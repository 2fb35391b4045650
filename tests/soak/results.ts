import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** What the machine did besides: nothing, or more work than it has processors. */
export type Mode = 'load' | 'idle';

const Result = z.object({
  /** The commit, with a digest of what is not committed behind it. */
  commit: z.string(),
  /** Path from the repository's root. */
  file: z.string(),
  round: z.number(),
  mode: z.enum(['load', 'idle']),
  seed: z.number(),
  at: z.string(),
  seconds: z.number(),
  passed: z.number(),
  skipped: z.number(),
  failures: z.array(z.object({ title: z.string(), message: z.string() })),
  /** Whole output of a run that failed. */
  log: z.string().optional(),
});
export type Result = z.output<typeof Result>;

/** Every result so far, a line each. A line that a kill tore is skipped: its run is done again. */
export function readResults(folder: string): Result[] {
  const file = join(folder, 'results.jsonl');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [Result.parse(JSON.parse(line))];
      } catch {
        return [];
      }
    });
}

export function appendResult(folder: string, result: Result): void {
  mkdirSync(folder, { recursive: true });
  // begins with a line's end: what a kill left of the line before stays alone
  appendFileSync(join(folder, 'results.jsonl'), `\n${JSON.stringify(result)}`);
}

/** The commit that is checked out, and a digest of all that differs from it. */
export function presentCommit(repository: string): string {
  const git = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('git', args, { cwd: repository, maxBuffer: 1 << 28 });
    if (status !== 0) throw new Error(`git ${args[0]}: ${stderr.toString().trim()}`);
    return stdout;
  };
  const commit = git('rev-parse', '--short=12', 'HEAD').toString().trim();
  const hash = createHash('sha256').update(git('diff', 'HEAD'));
  const added = git('ls-files', '--others', '--exclude-standard', '-z')
    .toString()
    .split('\0')
    .filter(Boolean);
  for (const name of added) hash.update(`\0${name}\0`).update(readFileSync(join(repository, name)));
  const isClean = added.length === 0 && git('status', '--porcelain', '--untracked-files=no').length === 0;
  return isClean ? commit : `${commit}+${hash.digest('hex').slice(0, 8)}`;
}
