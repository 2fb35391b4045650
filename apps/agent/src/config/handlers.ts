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

/** What a program is given besides its arguments. */
export type ProgramInput = { readonly env: Readonly<Record<string, string>>; readonly stdin?: string };

/** Runs what a config file names for its changes. `CONFIG_FILE` in its environment is the path of the file. */
export function runHandler(
  command: readonly string[],
  file: string,
  rules: HandlerRules,
): Promise<HandlerOutcome> {
  return runProgram(command, { env: { CONFIG_FILE: file } }, rules);
}

/**
 * Runs a program that lies directly in the allowed folder, with its arguments, without a shell, and with nothing of the
 * agent's own environment but `PATH`. Late ones are killed with all they started.
 */
export async function runProgram(
  [command = '', ...args]: readonly string[],
  { env, stdin }: ProgramInput,
  { folder, deadlineMs }: HandlerRules,
): Promise<HandlerOutcome> {
  const program = await allowed(resolve(folder, command), folder);
  if (program === undefined) return { success: false, output: `${command}: not a program of ${folder}` };
  const { promise, resolve: done } = Promise.withResolvers<HandlerOutcome>();
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', ...env },
    detached: true,
  });
  // A program need not read what it is given.
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
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
