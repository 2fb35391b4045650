import { context, isSpanContextValid, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';

/** Runs `work` as a child of what `traceparent` names (W3C Trace Context). Malformed or absent: of nothing. */
export function underTrace<T>(traceparent: string | undefined, work: () => T): T {
  const parent = traceparent === undefined ? null : parseTraceParent(traceparent);
  const active =
    parent === null || !isSpanContextValid(parent)
      ? ROOT_CONTEXT
      : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
  return context.with(active, work);
}

/** The `traceparent` of the active span, if there is one. */
export function activeTraceparent(): string | undefined {
  const span = trace.getSpanContext(context.active());
  if (span === undefined || !isSpanContextValid(span)) return undefined;
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}
