import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Brought, onPath } from '../servers/binaries.ts';
import type { Result } from './perform.ts';

const clone = resolve(import.meta.dirname, '../..');

/**
 * Does what a page says in a copy of this machine of its own, with `there` of the needs of needs.ts.
 * @throws Error with the transcript where it came to no result
 */
export async function runGuide(
  file: string,
  there: readonly string[],
  hear: (text: string) => void = () => {},
): Promise<Result> {
  const scratch = mkdtempSync(join(tmpdir(), 'signet-guide-'));
  const perform = [process.execPath, join(import.meta.dirname, 'perform.ts'), file, ...there];
  // its standard input ends with this process, and all that runs there with it
  const child = spawn('unshare', inside(scratch, ...perform), { stdio: ['pipe', 'pipe', 'pipe'] });
  let transcript = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      transcript += text;
      hear(text);
    });
  }
  try {
    await once(child, 'close');
  } finally {
    rmdirSync(scratch);
  }
  const last = transcript.trimEnd().split('\n').at(-1) ?? '';
  if (child.exitCode !== 0 || !last.startsWith('{"failures"')) throw new Error(`${file}:\n${transcript}`);
  return JSON.parse(last) as Result;
}

/** Whether the machine can be copied here, found out by doing it. */
export function bringCopies(): Brought {
  const unshare = onPath('unshare');
  if (unshare === undefined) return { missing: 'unshare: not on the path' };
  const scratch = mkdtempSync(join(tmpdir(), 'signet-guide-'));
  const { status, stderr, error } = spawnSync(unshare, inside(scratch, 'true'), { encoding: 'utf8' });
  rmdirSync(scratch);
  if (status === 0) return { path: unshare, how: 'may make a copy of this machine' };
  return { missing: `unshare: no copy of this machine (${error?.message ?? stderr.trim().split('\n')[0]})` };
}

/** Arguments of `unshare` for a command in a copy. */
function inside(scratch: string, ...command: string[]): string[] {
  const own = ['--mount', '--net', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--mount-proc'];
  return [...own, 'sh', join(import.meta.dirname, 'enter.sh'), scratch, clone, ...command];
}
