import { context, metrics as metricsApi, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { createMetrics, type Metrics } from './metrics.ts';

export interface Telemetry extends AsyncDisposable {
  readonly metrics: Metrics;
  /** All metrics in the text format of Prometheus. */
  exposition(): Promise<string>;
}

/**
 * Starts OpenTelemetry for this process: trace context as W3C headers say, metrics to be scraped. Spans leave only if
 * `otlpEndpoint` is given. Once a process.
 */
export function startTelemetry(options: {
  readonly service: string;
  readonly instance?: string;
  readonly otlpEndpoint?: string | undefined;
  /** `name=value,…`, percent-encoded, as `OTEL_EXPORTER_OTLP_HEADERS` is written. */
  readonly otlpHeaders?: string | undefined;
  /** For tests that look at spans. */
  readonly spanProcessors?: readonly SpanProcessor[];
}): Telemetry {
  const resource = resourceFromAttributes({
    'service.namespace': 'signet',
    'service.name': options.service,
    ...(options.instance === undefined ? {} : { 'service.instance.id': options.instance }),
  });
  const tracers = new TracerProvider({
    resource,
    spanProcessors: [
      ...(options.spanProcessors ?? []),
      ...(options.otlpEndpoint === undefined
        ? []
        : [otlpProcessor(options.otlpEndpoint, options.otlpHeaders)]),
    ],
  });
  const scraped = startMetrics({ resource });
  trace.setGlobalTracerProvider(tracers);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  metricsApi.setGlobalMeterProvider(scraped.provider);
  return {
    metrics: scraped.metrics,
    exposition: scraped.exposition,
    async [Symbol.asyncDispose]() {
      trace.disable();
      context.disable();
      propagation.disable();
      metricsApi.disable();
      await Promise.allSettled([tracers.shutdown(), scraped.provider.shutdown()]);
    },
  };
}

/** Metrics that stand alone, registered nowhere: for tests and embedders. */
export function startMetrics(
  options: { readonly resource?: ReturnType<typeof resourceFromAttributes> } = {},
): {
  readonly provider: MeterProvider;
  readonly metrics: Metrics;
  exposition(): Promise<string>;
} {
  const reader = new ScrapeReader();
  const provider = new MeterProvider({ readers: [reader], ...options });
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  return {
    provider,
    metrics: createMetrics(provider.getMeter('signet')),
    exposition: async () => serializer.serialize((await reader.collect()).resourceMetrics),
  };
}

/** Collects when it is asked, and never on its own. */
class ScrapeReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

function otlpProcessor(endpoint: string, headerList = ''): SpanProcessor {
  const url = `${endpoint.replace(/\/$/, '')}/v1/traces`;
  const headers = Object.fromEntries(
    headerList.split(',').flatMap((pair) => {
      const [name = '', ...value] = pair.split('=');
      return name.trim() === '' ? [] : [[name.trim(), decodeURIComponent(value.join('=').trim())]];
    }),
  );
  return new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url, headers }) });
}
