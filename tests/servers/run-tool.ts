import { spawnSync } from 'node:child_process';

/** Runs a program to its end. `stderr` says why where it could not be started. */
export function runTool(
  command: string,
  args: readonly string[],
  cwd?: string,
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    ...(cwd === undefined ? {} : { cwd }),
  });
  return { status, stdout: stdout ?? '', stderr: stderr || (error?.message ?? '') };
}

/** Where programs say what went wrong. */
export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
