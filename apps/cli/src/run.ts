import process from 'node:process';
import { reportFailure, runCommand } from './run-command.ts';

/** How long a command that was interrupted may take to put files in order; calls of the API and reads end at once. */
const GRACE_MS = 10_000;
/** As a shell counts: 128 and the number of the signal. */
const INTERRUPTED = 130;
const PIPE_CLOSED = 141;

const stopped = new AbortController();
const { env, stdin, stdout, stderr } = process;
const environment = { env, stopped: stopped.signal, stdin, stdout, stderr };
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    // the second time: now
    if (stopped.signal.aborted) process.exit(INTERRUPTED);
    stopped.abort();
    process.stdin.destroy();
    setTimeout(() => process.exit(INTERRUPTED), GRACE_MS).unref();
  });

// `signet devices list | head -1`: nobody reads on, and that is no error to report
for (const stream of [stdout, stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(PIPE_CLOSED);
    if (stream === stdout) reportFailure(error, environment);
    process.exit(1);
  });
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => {
    if (!stopped.signal.aborted) reportFailure(error, environment);
    process.exit(stopped.signal.aborted ? INTERRUPTED : 1);
  });

try {
  const code = await runCommand(process.argv.slice(2), environment);
  if (code !== 0) process.exitCode = code;
} catch {
  process.exit(INTERRUPTED);
}
