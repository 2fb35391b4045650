import cluster from 'node:cluster';
import nodeProcess from 'node:process';
import type { z } from 'zod';
import type { CommonConfig } from '../common-config.ts';
import type { ConfigSchema } from '../config.ts';
import { connectionLimits } from '../connections/connection-limits.ts';
import type { RunningService, ServiceDeps } from '../deps.ts';
import { Health } from '../health.ts';
import { startHealthServer } from '../health-server.ts';
import { createLogger } from '../logger.ts';
import { configOrExit, runProcess, runService } from '../run.ts';
import { instanceName } from '../runtime.ts';
import { Supervisor } from './supervisor.ts';
import { workerHost } from './worker-host.ts';

/** Time for a worker's own deadline to pass before it is killed. */
const GRACE_MS = 2000;

/**
 * As {@link runService}, in as many processes as the configuration says. With one, it is this process. With more, each
 * worker is the whole service, and this process supervises: it restarts a worker that dies, answers `/ready` and
 * `/metrics` for all of them on the health port, and stops when they have stopped.
 */
export async function runServiceInWorkers<S extends ConfigSchema>(
  name: string,
  schema: S,
  options: {
    /** Says how many; it is 1 in a worker. */
    readonly variable: string;
    /** @throws ConfigError where the configuration does not allow it */
    readonly workersOf: (config: z.output<S> & CommonConfig) => number;
    readonly start: (config: z.output<S> & CommonConfig, deps: ServiceDeps) => Promise<RunningService>;
  },
): Promise<void> {
  const { variable, workersOf, start } = options;
  if (cluster.isWorker) return runService(name, schema, start, workerHost());
  const read = configOrExit(name, schema, nodeProcess, (config) => ({ config, count: workersOf(config) }));
  if (read === undefined) return;
  const { config, count } = read;
  if (count === 1) return runService(name, schema, start);

  const instance = instanceName(config);
  const log = createLogger({ service: name, level: config.SIGNET_LOG_LEVEL, instance });
  const stopMs = config.SIGNET_STOP_SECONDS * 1000 + GRACE_MS;
  const supervisor = new Supervisor({
    log,
    stopMs,
    env: (worker) => ({
      [variable]: '1',
      SIGNET_INSTANCE: `${instance.slice(0, 60)}-${worker}`,
      SIGNET_HEALTH_PORT: '0',
      SIGNET_HEALTH_BIND: '127.0.0.1',
    }),
  });
  nodeProcess.once('exit', () => supervisor.kill());
  await runProcess(
    { name, config, log, stopMs: stopMs + GRACE_MS, host: nodeProcess },
    async (stack, signal) => {
      const health = new Health();
      for (let worker = 1; worker <= count; worker++)
        health.register(`${name}.worker-${worker}`, () => supervisor.check(worker));
      const server = stack.use(
        await startHealthServer({
          port: config.SIGNET_HEALTH_PORT,
          host: config.SIGNET_HEALTH_BIND,
          health,
          exposition: () => supervisor.exposition(),
          log,
          connections: { listener: 'health', limits: connectionLimits(config) },
        }),
      );
      stack.use(supervisor);
      const { ports } = await supervisor.start(count);
      signal.throwIfAborted();
      log.info({ ports, healthPort: server.port, workers: count }, `${name} is ready`);
    },
  );
}
