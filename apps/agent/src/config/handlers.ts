import { spawn } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

export type HandlerRules = {
  /** The only folder whose programs may be run. */
  readonly folder: string;
  readonly deadlineMs: number;
};

export type HandlerOutcome = { readonly success: boolean; readonly output: string };

const OUTPUT_BYTES = 2000;

/**
 * Runs what a config file names for its changes: a program that lies directly in the allowed folder, with its arguments,
 * without a shell. `CONFIG_FILE` in its environment is the path of the file. Late ones are killed with all they started.
 */
export async function runHandler(
  [command = '', ...args]: readonly string[],
  file: string,
  { folder, deadlineMs }: HandlerRules,
): Promise<HandlerOutcome> {
  const program = await allowed(resolve(folder, command), folder);
  if (program === undefined) return { success: false, output: `${command}: not a program of ${folder}` };
  const { promise, resolve: done } = Promise.withResolvers<HandlerOutcome>();
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', CONFIG_FILE: file },
    detached: true,
  });
  let output = '';
  const take = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_BYTES);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, deadlineMs);
  child.on('error', (error) => done({ success: false, output: `${command}: ${error.message}` }));
  child.on('close', (code) => {
    const late = isLate ? `${command}: killed after ${deadlineMs} ms\n` : '';
    done({ success: code === 0, output: late + output });
  });
  return await promise.finally(() => clearTimeout(timer));
}

/** The program's own path, where it lies in the folder itself: no link leads out of it. */
async function allowed(path: string, folder: string): Promise<string | undefined> {
  try {
    const [program, home] = await Promise.all([realpath(path), realpath(folder)]);
    return dirname(program) === home ? program : undefined;
  } catch {
    return undefined;
  }
}
