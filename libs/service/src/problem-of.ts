import { trace } from '@opentelemetry/api';
import { BusError } from '@signet/bus';
import { ForeignJsonError, isUnavailable, OperationError } from '@signet/contracts';
import { StoreError } from '@signet/store';
import { z } from 'zod';
import { Problem } from './problem.ts';

/**
 * The problem that an error of a route is answered with: a {@link Problem} as it is; wrong input as 400 with the field;
 * a dependency that is unavailable as 503; what Fastify refused with its own 4xx. All else is an opaque 500 with the trace id.
 */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof z.ZodError) return ofZod(error);
  if (error instanceof ForeignJsonError) return ofForeignJson(error);
  if (error instanceof OperationError) return ofOperation(error) ?? opaque(error);
  if (error instanceof BusError && error.code === 'full')
    return new Problem(503, 'full', `${error.message}; try again later`, { retryAfter: 5, cause: error });
  if (isUnavailable(error)) return unavailable(error);
  if (error instanceof StoreError && error.code === 'wrong-cursor')
    return new Problem(400, 'invalid-input', error.message, { field: 'cursor', cause: error });
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') {
    const { statusCode } = error;
    if (statusCode >= 400 && statusCode < 500) {
      return new Problem(statusCode, codeOf(statusCode), error.message, { cause: error });
    }
  }
  return opaque(error);
}

function ofZod(error: z.ZodError): Problem {
  const issue = error.issues[0];
  const field = issue?.path.join('.') ?? '';
  const detail = error.issues
    .map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
    .join('; ');
  return new Problem(400, 'invalid-input', detail, { field: field === '' ? undefined : field, cause: error });
}

function ofForeignJson(error: ForeignJsonError): Problem {
  const { code, message, field } = error;
  if (code === 'too-long') return new Problem(413, 'body-too-large', message, { field, cause: error });
  const isNone = code === 'malformed' || code === 'not-utf8';
  return new Problem(400, isNone ? 'invalid-request' : 'invalid-input', message, { field, cause: error });
}

function ofOperation(error: OperationError): Problem | undefined {
  switch (error.code) {
    case 'invalid-input':
      return new Problem(400, error.code, error.message, { field: error.field, cause: error });
    case 'unavailable':
    case 'deadline-exceeded':
      return unavailable(error);
    default:
      return undefined;
  }
}

function unavailable(cause: unknown): Problem {
  const detail = 'a backend is unavailable; retry later';
  return new Problem(503, 'unavailable', detail, { retryAfter: 5, cause });
}

function opaque(cause: unknown): Problem {
  const traceId = trace.getActiveSpan()?.spanContext().traceId;
  const detail = traceId === undefined ? 'internal error' : `internal error, trace id ${traceId}`;
  return new Problem(500, 'internal', detail, { cause });
}

function codeOf(status: number): string {
  const codes: Record<number, string> = {
    404: 'not-found',
    405: 'method-not-allowed',
    413: 'body-too-large',
    415: 'unsupported-media-type',
    503: 'unavailable',
  };
  return codes[status] ?? 'invalid-request';
}
