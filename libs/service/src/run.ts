import nodeProcess from 'node:process';
import { withDeadline } from '@signet/async';
import { CodedError } from '@signet/contracts';
import type { z } from 'zod';
import type { CommonConfig } from './common-config.ts';
import { type ConfigSchema, type Environment, parseConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import type { RunningService, ServiceDeps } from './deps.ts';
import { LineWriter } from './line-writer.ts';
import { createLogger, type Logger } from './logger.ts';
import { instanceName, openRuntime } from './runtime.ts';
import { startFailureLine } from './start-error.ts';

/** What of `process` a service's main needs. */
export type ProcessHost = {
  readonly env: Environment;
  exit(code: number): void;
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
  readonly stderr: { write(text: string): unknown };
  /** Told once the service stands. */
  ready?(service: ReadyService): void;
};

/** Where a service that stands is reached. */
export type ReadyService = {
  readonly ports: Readonly<Record<string, number>>;
  readonly healthPort: number;
};

/**
 * A service's whole main: parses the environment, opens what {@link openRuntime} opens, calls `start`, and ends with the
 * process. Wrong configuration: one line a variable on stderr, exit 2. A start that fails for what is outside the
 * process (a taken port, a full disk, a second process on its data): one line on stderr, exit 1. Any other start that
 * fails, an unhandled rejection or exception: logged, exit 1. SIGTERM or SIGINT: graceful stop within SIGNET_STOP_SECONDS, exit 0 (1 if the deadline
 * passes); a second signal, half a second later or more, exits at once. Resolves when the process is to end.
 */
export async function runService<S extends ConfigSchema>(
  name: string,
  schema: S,
  start: (config: z.output<S> & CommonConfig, deps: ServiceDeps) => Promise<RunningService>,
  host: ProcessHost = nodeProcess,
): Promise<void> {
  const config = configOrExit(name, schema, host, (read) => read);
  if (config === undefined) return;
  const instance = instanceName(config);
  const lines = new LineWriter(1);
  const log = createLogger({ service: name, level: config.SIGNET_LOG_LEVEL, instance, destination: lines });
  const stopMs = config.SIGNET_STOP_SECONDS * 1000;
  await runProcess({ name, config, log, stopMs, host }, async (stack, signal) => {
    const runtime = stack.use(await openRuntime(name, config, { log, lines }));
    const running = stack.use(await start(config, runtime.deps));
    signal.throwIfAborted();
    runtime.started();
    const ready = { ports: running.ports, healthPort: runtime.healthPort };
    log.info(ready, `${name} is ready`);
    host.ready?.(ready);
  });
}

/** What `use` makes of the configuration. Where it is wrong: one line a variable on stderr, exit 2, undefined. */
export function configOrExit<S extends ConfigSchema, R>(
  name: string,
  schema: S,
  host: Pick<ProcessHost, 'env' | 'exit' | 'stderr'>,
  use: (config: z.output<S> & CommonConfig) => R,
): R | undefined {
  try {
    return use(parseConfig(schema, host.env) as z.output<S> & CommonConfig);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    host.stderr.write(`${name}: the configuration is wrong\n${error.message.replace(/^/gm, '  ')}\n`);
    host.exit(2);
    return undefined;
  }
}

export type ProcessParts = {
  /** As it names itself on stderr. */
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly log: Logger;
  readonly stopMs: number;
  readonly host: ProcessHost;
};

/** One Ctrl-C comes twice under npm: from the terminal to all of its processes, and from npm, which passes it on. */
const SAME_SIGNAL_MS = 500;

/**
 * Signals, deadline and exit codes around anything that runs until it is told to stop. `open` fills the stack that is
 * disposed at the stop, last in, first out.
 */
export async function runProcess(
  parts: ProcessParts,
  open: (stack: AsyncDisposableStack, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { log, host } = parts;
  const stack = new AsyncDisposableStack();
  const stopping = new AbortController();
  const broken = Promise.withResolvers<number>();
  const fail = (error: unknown): void => {
    log.error({ err: error }, 'unhandled error, ending');
    broken.resolve(1);
  };
  let stoppedAt = 0;
  const stop = (signal: unknown): void => {
    if (stopping.signal.aborted) {
      if (performance.now() - stoppedAt < SAME_SIGNAL_MS) return;
      log.error({ signal }, 'second signal, ending at once');
      broken.resolve(1);
      return;
    }
    stoppedAt = performance.now();
    log.info({ signal }, 'stopping');
    stopping.abort(new Error(`stopped by ${String(signal)}`));
  };
  const listeners = { SIGTERM: stop, SIGINT: stop, unhandledRejection: fail, uncaughtException: fail };
  for (const [event, listener] of Object.entries(listeners)) host.on(event, listener);
  const code = await Promise.race([live(open, stack, stopping.signal, parts), broken.promise]);
  for (const [event, listener] of Object.entries(listeners)) host.off(event, listener);
  host.exit(code);
}

async function live(
  open: (stack: AsyncDisposableStack, signal: AbortSignal) => Promise<void>,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
  { name, config, log, stopMs, host }: ProcessParts,
): Promise<number> {
  const stopped = new Promise<void>((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  const opened = open(stack, signal).then(
    () => true,
    (error: unknown) => {
      // A stop during the start does not wait for it; what the start then fails with is that stop.
      if (signal.aborted) return false;
      const line = startFailureLine(error, config);
      if (line === undefined) reportFailedStart(error, log);
      else
        host.stderr.write(`${name}: ${line}
`);
      return false;
    },
  );
  const started = await Promise.race([opened, stopped.then(() => true)]);
  if (started) await stopped;
  const clean = await disposeWithin(stack, stopMs, log);
  if (started && clean) log.info('stopped');
  return started && clean ? 0 : 1;
}

/** What an operator has to decide is one plain line; anything else is told with where it came from. */
function reportFailedStart(error: unknown, log: Logger): void {
  if (error instanceof CodedError && error.code === 'newer-schema')
    log.error({ code: error.code }, error.message);
  else log.error({ err: error }, 'start failed');
}

async function disposeWithin(stack: AsyncDisposableStack, stopMs: number, log: Logger): Promise<boolean> {
  const late = () => {
    log.error({ stopMs }, 'stop: deadline over');
    return false;
  };
  try {
    return await withDeadline(
      stack.disposeAsync().then(() => true),
      stopMs,
      late,
    );
  } catch (error) {
    log.error({ err: error }, 'stop: something did not close');
    return false;
  }
}
