import nodeProcess from 'node:process';
import type { z } from 'zod';
import type { CommonConfig } from './common-config.ts';
import { type ConfigSchema, type Environment, parseConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import type { RunningService, ServiceDeps } from './deps.ts';
import type { Logger } from './logger.ts';
import { openRuntime } from './runtime.ts';

/** What of `process` a service's main needs. */
export type ProcessHost = {
  readonly env: Environment;
  exit(code: number): void;
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
  readonly stderr: { write(text: string): unknown };
};

/**
 * A service's whole main: parses the environment, opens what {@link openRuntime} opens, calls `start`, and ends with the
 * process. Wrong configuration: one line a variable on stderr, exit 2. A start that fails, an unhandled rejection or
 * exception: logged, exit 1. SIGTERM or SIGINT: graceful stop within SIGNET_STOP_SECONDS, exit 0 (1 if the deadline
 * passes); a second signal exits at once. Resolves when the process is to end.
 */
export async function runService<S extends ConfigSchema>(
  name: string,
  schema: S,
  start: (config: z.output<S> & CommonConfig, deps: ServiceDeps) => Promise<RunningService>,
  host: ProcessHost = nodeProcess,
): Promise<void> {
  const config = configOrExit(name, schema, host);
  if (config === undefined) return;
  await runProcess(name, config, host, async (stack, signal) => {
    const runtime = stack.use(await openRuntime(name, config));
    const running = stack.use(await start(config, runtime.deps));
    signal.throwIfAborted();
    runtime.started();
    runtime.deps.log.info({ ports: running.ports, healthPort: runtime.healthPort }, `${name} is ready`);
    return runtime.deps.log;
  });
}

function configOrExit<S extends ConfigSchema>(
  name: string,
  schema: S,
  host: ProcessHost,
): (z.output<S> & CommonConfig) | undefined {
  try {
    return parseConfig(schema, host.env) as z.output<S> & CommonConfig;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    host.stderr.write(`${name}: the configuration is wrong\n${error.message.replace(/^/gm, '  ')}\n`);
    host.exit(2);
    return undefined;
  }
}

/**
 * Signals, deadline and exit codes around anything that runs until it is told to stop. `open` fills the stack that is
 * disposed at the stop, last in, first out.
 */
export async function runProcess(
  name: string,
  config: Pick<CommonConfig, 'SIGNET_STOP_SECONDS'>,
  host: ProcessHost,
  open: (stack: AsyncDisposableStack, signal: AbortSignal) => Promise<Logger>,
): Promise<void> {
  const stack = new AsyncDisposableStack();
  const stopping = new AbortController();
  const ended = Promise.withResolvers<number>();
  let log: Logger | undefined;
  const say = (facts: object, message: string): void => {
    if (log === undefined) host.stderr.write(`${name}: ${message} ${textOf(facts)}\n`);
    else log.error(facts, message);
  };

  const fail = (error: unknown): void => {
    say({ err: error }, 'unhandled error, ending');
    ended.resolve(1);
  };
  const stop = (signalName: unknown): void => {
    if (stopping.signal.aborted) {
      say({ signal: signalName }, 'second signal, ending at once');
      ended.resolve(1);
      return;
    }
    log?.info({ signal: signalName }, 'stopping');
    stopping.abort(new Error(`stopped by ${String(signalName)}`));
  };
  const listeners = { SIGTERM: stop, SIGINT: stop, unhandledRejection: fail, uncaughtException: fail };
  for (const [event, listener] of Object.entries(listeners)) host.on(event, listener);

  const life = async (): Promise<number> => {
    try {
      const stopped = new Promise<void>((resolve) =>
        stopping.signal.addEventListener('abort', () => resolve()),
      );
      const opened = open(stack, stopping.signal).then((own) => {
        log = own;
      });
      // A stop during the start does not wait for it: what is open by then is closed.
      await Promise.race([opened, stopped]);
      opened.catch(() => {});
      await stopped;
    } catch (error) {
      say({ err: error }, 'start failed');
      await disposeWithin(stack, config.SIGNET_STOP_SECONDS * 1000, say);
      return 1;
    }
    const clean = await disposeWithin(stack, config.SIGNET_STOP_SECONDS * 1000, say);
    if (clean) log?.info({}, 'stopped');
    return clean ? 0 : 1;
  };
  const code = await Promise.race([life(), ended.promise]);
  for (const [event, listener] of Object.entries(listeners)) host.off(event, listener);
  host.exit(code);
}

async function disposeWithin(
  stack: AsyncDisposableStack,
  deadlineMs: number,
  say: (facts: object, message: string) => void,
): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => {
    say({ deadlineMs }, 'stop: deadline over');
    resolve(false);
  }, deadlineMs);
  try {
    return await Promise.race([stack.disposeAsync().then(() => true), late]);
  } catch (error) {
    say({ err: error }, 'stop: something did not close');
    return false;
  } finally {
    clearTimeout(timer);
  }
}

function textOf(facts: object): string {
  if ('err' in facts && facts.err instanceof Error) return facts.err.stack ?? facts.err.message;
  return JSON.stringify(facts);
}
