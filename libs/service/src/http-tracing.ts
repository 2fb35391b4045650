import type { IncomingHttpHeaders } from 'node:http';
import { type Context, context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** The server span of one request. */
export type RequestSpan = {
  /** Runs what belongs to the request, and its awaits, inside the span. */
  within<R>(run: () => R): R;
  end(status: number): void;
};

/** Starts the server span of a request, a child of the caller's `traceparent`. */
export function startRequestSpan(method: string, route: string, headers: IncomingHttpHeaders): RequestSpan {
  const parent = propagation.extract(context.active(), headers);
  const attributes = { 'http.request.method': method, 'http.route': route };
  const span = trace
    .getTracer('signet')
    .startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
  const own: Context = trace.setSpan(parent, span);
  return {
    within: (run) => context.with(own, run),
    end(status) {
      span.setAttribute('http.response.status_code', status);
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

/** One server span for each request; handlers and their awaits run inside it. */
export function traceRequests(app: FastifyInstance): void {
  const spans = new WeakMap<FastifyRequest, RequestSpan>();
  app.addHook('onRequest', (request, _reply, done) => {
    const span = startRequestSpan(request.method, request.routeOptions.url ?? 'unknown', request.headers);
    spans.set(request, span);
    span.within(done);
  });
  // Reading the body leaves the context of the first hook, so it is entered again.
  app.addHook('preValidation', (request, _reply, done) => {
    const span = spans.get(request);
    if (span === undefined) done();
    else span.within(done);
  });
  app.addHook('onResponse', (request, reply, done) => {
    spans.get(request)?.end(reply.statusCode);
    done();
  });
}
