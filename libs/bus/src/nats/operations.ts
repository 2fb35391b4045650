import { randomUUID } from 'node:crypto';
import {
  errors,
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription as NatsSubscription,
} from '@nats-io/nats-core';
import { deadlineIn, pause } from '@signet/async';
import {
  type Operation,
  OperationError,
  operationAtSubject,
  operationLiveSubject,
  operationSubject,
} from '@signet/contracts';
import type { z } from 'zod';
import type { Subscription } from '../bus.ts';
import type { Log } from '../log.ts';
import { answer, readAnswer } from '../operation-codec.ts';
import { noteOwed, trackOwed } from '../owed.ts';
import { activeTraceparent, underTrace } from '../trace-context.ts';
import type { Link } from './link.ts';
import { subscribe } from './subscribe.ts';

type Parts = { readonly link: Link; readonly log: Log };

/** Queue group of all services, as the NATS micro-service protocol names it (ADR-32 of NATS). */
const QUEUE = 'q';
const DEFAULT_DEADLINE_MS = 5000;
/** A replica that has not answered by then may be frozen, or cut off; who is alive answers within this, ms. */
const FIRST_MS = 400;
/** After a replica was silent, requests go to who is alive first, for so long, ms. */
const SUSPECT_MS = 10_000;

/**
 * The operations of one connection. Who serves is asked in one of two ways, so that a replica which is frozen or cut off
 * costs little, though NATS goes on giving it its share:
 * - what is idempotent is asked of any replica; where no answer comes soon, of one that is known to be alive, too;
 * - everything else is asked only of a replica that has just said that it is alive, so that nothing is done twice when
 *   one that was frozen wakes up.
 */
export class Operations {
  readonly #parts: Parts;
  /** Names this connection: where it alone is asked. */
  readonly #id = randomUUID();
  /** Service → until when (monotonic) one of its replicas is taken for silent. */
  readonly #suspects = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Serves an operation as one of its queue group. Errors also carry the headers of the micro-service protocol. */
  async serve(operation: Operation, handler: (input: unknown) => Promise<unknown>): Promise<Subscription> {
    const { link, log } = this.#parts;
    const inFlight = new Set<Promise<void>>();
    const onMessage = (message: Msg) => {
      const run = respond(message, operation, handler, log).finally(() => inFlight.delete(run));
      inFlight.add(run);
    };
    const drained = async (subscription: NatsSubscription) => {
      await subscription.drain().catch(() => {});
      await Promise.all(inFlight);
    };
    const at = operationAtSubject(this.#id, operation.name);
    const subscriptions = await Promise.all([
      subscribe(link, operationSubject(operation.name), { queue: QUEUE, onMessage, drained }),
      // of two that serve it over one connection, one does
      subscribe(link, at, { queue: QUEUE, onMessage, drained }),
      subscribe(link, operationLiveSubject(operation.name), {
        onMessage: (message) => void message.respond(at),
        drained,
      }),
    ]);
    return {
      async [Symbol.asyncDispose]() {
        await Promise.all(subscriptions.map((subscription) => subscription[Symbol.asyncDispose]()));
      },
    };
  }

  async request<O extends z.ZodType>(
    operation: Operation<z.ZodType, O>,
    input: unknown,
    deadlineMs = DEFAULT_DEADLINE_MS,
  ): Promise<z.output<O>> {
    const { link, log } = this.#parts;
    const deadline = AbortSignal.any([deadlineIn(deadlineMs), link.closing]);
    const until = performance.now() + deadlineMs;
    const { nc } = await link.connected(deadline).catch((cause: unknown) => {
      throw new OperationError('unavailable', `${operation.name}: ${link.failure() ?? 'the bus is closed'}`, {
        cause,
      });
    });
    const traceparent = activeTraceparent();
    const headers = traceparent === undefined ? undefined : traceHeaders(traceparent);
    const asked: Asked = {
      nc,
      name: operation.name,
      payload: JSON.stringify(input) ?? 'null',
      headers,
      until,
    };
    try {
      const reply = operation.idempotent ? await this.#askTwice(asked) : await askLive(asked);
      if (reply.headers?.has(OWED_HEADER) === true) noteOwed();
      return readAnswer(operation, reply.string(), log);
    } catch (error) {
      throw failureOf(operation, error, link, deadlineMs);
    }
  }

  async #askTwice(asked: Asked): Promise<Msg> {
    const service = asked.name.split('.')[0] ?? '';
    if ((this.#suspects.get(service) ?? 0) > performance.now()) return askLive(asked);
    const first = ask(asked, operationSubject(asked.name));
    const { closing } = this.#parts.link;
    const early = await Promise.race([first, pause(FIRST_MS, { signal: closing })]);
    if (typeof early !== 'boolean') return early;
    closing.throwIfAborted();
    let isSilent = true;
    const answered = first.finally(() => {
      isSilent = false;
    });
    const second = liveSubject(asked).then((at) => (at === undefined ? first : ask(asked, at)));
    try {
      return await Promise.any([answered, second]);
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    } finally {
      if (isSilent) this.#suspects.set(service, performance.now() + SUSPECT_MS);
    }
  }
}

/** One request, with what is left of its time. */
type Asked = {
  readonly nc: NatsConnection;
  readonly name: string;
  readonly payload: string;
  readonly headers: MsgHdrs | undefined;
  /** Monotonic, ms. */
  readonly until: number;
};

function ask({ nc, payload, headers, until }: Asked, subject: string): Promise<Msg> {
  const timeout = Math.max(1, until - performance.now());
  return nc.request(subject, payload, headers === undefined ? { timeout } : { timeout, headers });
}

/** The subject of the replica that answers first that it is alive; undefined where none does. */
async function liveSubject({ nc, name, until }: Asked): Promise<string | undefined> {
  const timeout = Math.max(1, Math.min(FIRST_MS, until - performance.now()));
  return nc.request(operationLiveSubject(name), '', { timeout }).then(
    (reply) => reply.string(),
    () => undefined,
  );
}

/** Asks a replica that is alive. Where none says so (earlier releases do not), any. */
async function askLive(asked: Asked): Promise<Msg> {
  const at = await liveSubject(asked);
  if (at === undefined) return ask(asked, operationSubject(asked.name));
  try {
    return await ask(asked, at);
  } catch (error) {
    // it has left in between, and so was not given the request
    if (!isNobody(error)) throw error;
    return ask(asked, operationSubject(asked.name));
  }
}

async function respond(
  message: Msg,
  operation: Operation,
  handler: (input: unknown) => Promise<unknown>,
  log: Log,
): Promise<void> {
  const traceparent = message.headers?.get('traceparent');
  const { result: reply, owed } = await trackOwed(() =>
    underTrace(traceparent, () => answer(operation, handler, message.string(), log)),
  );
  const options = answerHeaders(reply.errorCode, owed);
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
}

function isNobody(error: unknown): boolean {
  if (error instanceof errors.NoRespondersError) return true;
  return error instanceof errors.RequestError && error.isNoResponders();
}

function failureOf(operation: Operation, error: unknown, link: Link, deadlineMs: number): OperationError {
  if (error instanceof OperationError) return error;
  const reason = link.failure();
  if (reason !== undefined)
    return new OperationError('unavailable', `${operation.name}: ${reason}`, { cause: error });
  if (error instanceof errors.InvalidArgumentError) {
    const message = `${operation.name}: the request is larger than NATS carries (${error.message})`;
    return new OperationError('invalid-input', message, { cause: error });
  }
  if (error instanceof errors.TimeoutError) {
    return new OperationError('deadline-exceeded', `${operation.name}: no answer within ${deadlineMs} ms`);
  }
  if (isNobody(error)) {
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

/** Of an answer to what is accepted, and not in force yet. */
const OWED_HEADER = 'Signet-Owed';

function answerHeaders(errorCode: string | undefined, owed: boolean): { readonly headers?: MsgHdrs } {
  if (errorCode === undefined && !owed) return {};
  const carried = errorCode === undefined ? headers() : errorHeaders(errorCode);
  if (owed) carried.set(OWED_HEADER, '1');
  return { headers: carried };
}

function errorHeaders(code: string) {
  const carried = headers();
  carried.set('Nats-Service-Error', code);
  carried.set('Nats-Service-Error-Code', code === 'internal' ? '500' : '400');
  return carried;
}
