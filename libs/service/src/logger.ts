import { isSpanContextValid, trace } from '@opentelemetry/api';
import { type DestinationStream, type Logger, pino } from 'pino';
import { LineWriter } from './line-writer.ts';

export type { Logger } from 'pino';

/**
 * JSON lines with the ids of the running trace. `destination` is standard output by default; one that cannot be written
 * loses lines and ends nothing.
 */
export function createLogger(options: {
  readonly service: string;
  readonly level: string;
  readonly instance?: string;
  readonly destination?: DestinationStream;
}): Logger {
  return pino(
    {
      level: options.level,
      base: {
        service: options.service,
        ...(options.instance === undefined ? {} : { instance: options.instance }),
      },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: traceIds,
      redact: ['req.headers.authorization', 'req.headers.cookie', 'password', 'grant', 'token'],
    },
    options.destination ?? new LineWriter(1),
  );
}

function traceIds(): { trace_id?: string; span_id?: string } {
  const context = trace.getActiveSpan()?.spanContext();
  return context !== undefined && isSpanContextValid(context)
    ? { trace_id: context.traceId, span_id: context.spanId }
    : {};
}
