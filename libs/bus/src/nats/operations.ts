import { errors, headers, type Msg, type Subscription as NatsSubscription } from '@nats-io/nats-core';
import { type Operation, OperationError, operationSubject } from '@signet/contracts';
import type { z } from 'zod';
import type { Subscription } from '../bus.ts';
import type { Log } from '../log.ts';
import { answer, readAnswer } from '../operation-codec.ts';
import { deadlineIn } from '../pause.ts';
import { activeTraceparent, underTrace } from '../trace-context.ts';
import type { Link } from './link.ts';
import { subscribe } from './subscribe.ts';

type Parts = { readonly link: Link; readonly log: Log };

/** Queue group of all services, as the NATS micro-service protocol names it (ADR-32 of NATS). */
const QUEUE = 'q';
const DEFAULT_DEADLINE_MS = 5000;

/** Serves an operation as one of its queue group. Errors also carry the headers of the micro-service protocol. */
export async function serve(
  { link, log }: Parts,
  operation: Operation,
  handler: (input: unknown) => Promise<unknown>,
): Promise<Subscription> {
  const inFlight = new Set<Promise<void>>();
  const respond = async (message: Msg) => {
    const traceparent = message.headers?.get('traceparent');
    const reply = await underTrace(traceparent, () => answer(operation, handler, message.string(), log));
    const options = reply.errorCode === undefined ? {} : { headers: errorHeaders(reply.errorCode) };
    try {
      message.respond(reply.body, options);
    } catch (err) {
      log.error({ err, operation: operation.name }, 'an answer could not be sent');
      if (!(err instanceof errors.InvalidArgumentError)) return;
      const error = {
        code: 'internal',
        message: `${operation.name}: the answer is larger than NATS carries`,
      };
      message.respond(JSON.stringify({ error }), { headers: errorHeaders(error.code) });
    }
  };
  return subscribe(link, operationSubject(operation.name), {
    queue: QUEUE,
    onMessage: (message) => {
      const run = respond(message).finally(() => inFlight.delete(run));
      inFlight.add(run);
    },
    async drained(subscription: NatsSubscription) {
      await subscription.drain().catch(() => {});
      await Promise.all(inFlight);
    },
  });
}

export async function request<O extends z.ZodType>(
  { link, log }: Parts,
  operation: Operation<z.ZodType, O>,
  input: unknown,
  deadlineMs = DEFAULT_DEADLINE_MS,
): Promise<z.output<O>> {
  const deadline = AbortSignal.any([deadlineIn(deadlineMs), link.closing]);
  const until = performance.now() + deadlineMs;
  const { nc } = await link.connected(deadline).catch((cause: unknown) => {
    throw new OperationError('unavailable', `${operation.name}: ${link.failure() ?? 'the bus is closed'}`, {
      cause,
    });
  });
  const traceparent = activeTraceparent();
  const options = traceparent === undefined ? {} : { headers: traceHeaders(traceparent) };
  try {
    const reply = await nc.request(operationSubject(operation.name), JSON.stringify(input) ?? 'null', {
      timeout: Math.max(1, until - performance.now()),
      ...options,
    });
    return readAnswer(operation, reply.string(), log);
  } catch (error) {
    throw failureOf(operation, error, link, deadlineMs);
  }
}

function failureOf(operation: Operation, error: unknown, link: Link, deadlineMs: number): OperationError {
  if (error instanceof OperationError) return error;
  const away = link.failure();
  if (away !== undefined)
    return new OperationError('unavailable', `${operation.name}: ${away}`, { cause: error });
  if (error instanceof errors.InvalidArgumentError) {
    const message = `${operation.name}: the request is larger than NATS carries (${error.message})`;
    return new OperationError('invalid-input', message, { cause: error });
  }
  if (error instanceof errors.TimeoutError) {
    return new OperationError('deadline-exceeded', `${operation.name}: no answer within ${deadlineMs} ms`);
  }
  if (error instanceof errors.RequestError && error.isNoResponders()) {
    return new OperationError('unavailable', `${operation.name}: nobody serves it`);
  }
  return new OperationError('unavailable', `${operation.name}: the request could not be sent`, {
    cause: error,
  });
}

function traceHeaders(traceparent: string) {
  const carried = headers();
  carried.set('traceparent', traceparent);
  return carried;
}

function errorHeaders(code: string) {
  const carried = headers();
  carried.set('Nats-Service-Error', code);
  carried.set('Nats-Service-Error-Code', code === 'internal' ? '500' : '400');
  return carried;
}
