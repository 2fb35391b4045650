import process from 'node:process';
import release from '../package.json' with { type: 'json' };
import { isOurFault, messageOf } from './cli-error.ts';
import { buildProgram } from './program.ts';

/** How long a command that was interrupted may take to put files in order; calls of the API and reads end at once. */
const GRACE_MS = 10_000;
/** As a shell counts: 128 and the number of the signal. */
const INTERRUPTED = 130;
const PIPE_CLOSED = 141;

/** Whatever goes wrong ends in one line on standard error, never in a stack trace. */
function fail(error: unknown): void {
  const debug = Boolean(process.env.SIGNET_DEBUG);
  const hint = isOurFault(error) && !debug ? ' (a fault of signet; SIGNET_DEBUG=1 shows where)' : '';
  process.stderr.write(`signet: ${messageOf(error)}${hint}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
}

const stopped = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    // the second time: now
    if (stopped.signal.aborted) process.exit(INTERRUPTED);
    stopped.abort();
    process.stdin.destroy();
    setTimeout(() => process.exit(INTERRUPTED), GRACE_MS).unref();
  });

// `signet devices list | head -1`: nobody reads on, and that is no error to tell of
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(PIPE_CLOSED);
    if (stream === process.stdout) fail(error);
    process.exit(1);
  });
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => {
    if (!stopped.signal.aborted) fail(error);
    process.exit(stopped.signal.aborted ? INTERRUPTED : 1);
  });

// not an option of the program: those are taken wherever they stand, and commands have a --version of their own
if (['--version', '-V'].includes(process.argv[2] ?? '')) {
  process.stdout.write(`${release.version}\n`);
} else {
  try {
    await buildProgram({ env: process.env, stopped: stopped.signal }).parseAsync();
  } catch (error) {
    if (stopped.signal.aborted) process.exit(INTERRUPTED);
    fail(error);
    process.exitCode = 1;
  }
}
