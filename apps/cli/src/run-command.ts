import { CommanderError } from 'commander';
import release from '../package.json' with { type: 'json' };
import { isOurFault, messageOf } from './cli-error.ts';
import type { Environment } from './context.ts';
import { buildProgram } from './program.ts';

/**
 * Runs one command. @returns its exit code. Whatever goes wrong ends in one line on standard error, never in a stack
 * trace; what goes wrong after an interrupt is thrown.
 */
export async function runCommand(args: readonly string[], environment: Environment): Promise<number> {
  // not an option of the program: those are taken wherever they stand, and commands have a --version of their own
  if (['--version', '-V'].includes(args[0] ?? '')) {
    environment.stdout.write(`${release.version}\n`);
    return 0;
  }
  try {
    await buildProgram(environment).parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    // commander has said what is wrong, or was asked for help
    if (error instanceof CommanderError) return error.exitCode;
    if (environment.stopped.aborted) throw error;
    reportFailure(error, environment);
    return 1;
  }
}

export function reportFailure(error: unknown, { env, stderr }: Pick<Environment, 'env' | 'stderr'>): void {
  const debug = Boolean(env.SIGNET_DEBUG);
  const hint = isOurFault(error) && !debug ? ' (a fault of signet; SIGNET_DEBUG=1 shows where)' : '';
  stderr.write(`signet: ${messageOf(error)}${hint}\n`);
  if (debug && error instanceof Error) stderr.write(`${error.stack}\n`);
}
