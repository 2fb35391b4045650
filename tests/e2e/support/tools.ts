import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { requireServer } from '@signet/tests/servers';

export type RunResult = { readonly code: number | null; readonly stdout: Buffer; readonly stderr: string };
export type Run = (program: string, args: readonly string[], input?: string) => Promise<RunResult>;

/** Clients that we did not write, by path; `''` for one that is not here. */
export function requireTools() {
  const mosquittoPub = requireServer('mosquitto');
  return {
    openssl: requireServer('openssl'),
    curl: requireServer('curl'),
    pki: requireServer('strongswan'),
    mosquittoPub,
    mosquittoSub: mosquittoPub === '' ? '' : join(dirname(mosquittoPub), 'mosquitto_sub'),
  };
}
export type Tools = ReturnType<typeof requireTools>;

/** Runs a program in a folder to its end. */
export function runner(cwd: string, env: Readonly<Record<string, string>> = {}): Run {
  return (program, args, input) => {
    const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env } });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (data: Buffer) => stdout.push(data));
    child.stderr.on('data', (data: Buffer) => stderr.push(data));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    return promise;
  };
}

/** Runs a program that has to succeed. @throws Error with what it printed */
export async function succeed(run: Run, program: string, ...args: string[]): Promise<RunResult> {
  const result = await run(program, args);
  if (result.code === 0) return result;
  throw new Error(`${program} ${args.join(' ')}: exit ${result.code}\n${result.stderr}${result.stdout}`);
}
