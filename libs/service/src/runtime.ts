import { hostname } from 'node:os';
import { openBackbone } from './backbone.ts';
import { watchClock } from './clock-watch.ts';
import type { CommonConfig } from './common-config.ts';
import { connectionsOf } from './connections/connection-limits.ts';
import type { ServiceDeps } from './deps.ts';
import { Health } from './health.ts';
import { startHealthServer } from './health-server.ts';
import type { LineWriter } from './line-writer.ts';
import { createLogger, type Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { startTelemetry } from './telemetry.ts';
import type { Ticks } from './ticks.ts';

export interface Runtime extends AsyncDisposable {
  readonly deps: ServiceDeps;
  readonly instance: string;
  readonly healthPort: number;
  /** To be called once all services of the process stand; until then `/ready` says that it starts. */
  started(): void;
}

/** The name of this process, unique on its network: what is configured, else host and process. */
export function instanceName(config: CommonConfig): string {
  return (
    config.SIGNET_INSTANCE ??
    `${hostname()
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 48)}-${process.pid}`
  );
}

/**
 * What one process needs besides its services: log, telemetry, health port, store and bus. The health port answers
 * before store and bus do.
 */
export async function openRuntime(
  service: string,
  config: CommonConfig,
  given: {
    readonly log?: Logger;
    /** Where the log goes, to be told of in readiness and metrics. */
    readonly lines?: LineWriter;
    readonly now?: () => number;
    readonly ticks?: Ticks | undefined;
  } = {},
): Promise<Runtime> {
  const instance = instanceName(config);
  const log = given.log ?? createLogger({ service, level: config.SIGNET_LOG_LEVEL, instance });
  const health = new Health();
  await using stack = new AsyncDisposableStack();
  const telemetry = stack.use(
    startTelemetry({
      service,
      instance,
      otlpEndpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
      otlpHeaders: config.OTEL_EXPORTER_OTLP_HEADERS,
    }),
  );
  if (given.lines !== undefined) watchLines(given.lines, health, telemetry.metrics, stack);
  const server = stack.use(
    await startHealthServer({
      port: config.SIGNET_HEALTH_PORT,
      host: config.SIGNET_HEALTH_BIND,
      health,
      exposition: telemetry.exposition,
      log,
      connections: connectionsOf(config, telemetry, 'health'),
    }),
  );
  const starting = health.register('start', () => 'still starting');
  const backbone = stack.use(
    await openBackbone({
      store: config.SIGNET_STORE,
      bus: config.SIGNET_BUS,
      dataDir: config.SIGNET_DATA_DIR,
      name: instance,
      log,
      health,
    }),
  );
  const { store, bus } = backbone;
  const { metrics } = telemetry;
  const now = given.now ?? Date.now;
  const boundMs = config.SIGNET_CLOCK_BOUND_SECONDS * 1000;
  // a clock that is given is not the machine's: tests move it on purpose
  const clock =
    given.now === undefined
      ? stack.use(watchClock({ store, bus, now, boundMs, health, metrics, log }))
      : undefined;
  stack.use(
    metrics.gauge(
      'signet_outbox_unsent_seconds',
      'For how long the oldest event has been waiting that the bus does not have',
      () => store.unsentMs() / 1000,
    ),
  );
  const rest = stack.move();
  return {
    deps: { store, bus, log, now, ticks: given.ticks, health, metrics, clock },
    instance,
    healthPort: server.port,
    started: () => starting[Symbol.dispose](),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** A log that loses lines is no reason to take no work, but one to be told of. */
function watchLines(lines: LineWriter, health: Health, metrics: Metrics, stack: AsyncDisposableStack): void {
  stack.use(
    health.register('log', () => {
      const failure = lines.failure();
      return failure === undefined ? undefined : { warning: `lines of log are lost: ${failure}` };
    }),
  );
  stack.use(
    metrics.gauges(
      'signet_log_lines_dropped',
      'Lines of log that could not be written since the start',
      () => [[{}, lines.dropped]],
    ),
  );
}
