import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What openssl prints, both streams; throws with that text where it fails. Files are put in its working directory. */
export function openssl(
  args: readonly string[],
  files: Readonly<Record<string, string | Uint8Array>> = {},
): string {
  const directory = mkdtempSync(join(tmpdir(), 'signet-openssl-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    const run = spawnSync('openssl', args, { cwd: directory, encoding: 'utf8' });
    if (run.error !== undefined) throw run.error;
    if (run.status !== 0) throw new Error(`openssl ${args.join(' ')}: ${run.stdout}${run.stderr}`);
    return run.stdout + run.stderr;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
