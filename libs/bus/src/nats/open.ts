import { errors } from '@nats-io/nats-core';
import { withDeadline } from '@signet/async';
import type { Operation } from '@signet/contracts';
import { EVENT_STREAM, eventSubject } from '@signet/contracts';
import type { Bus, Subscription } from '../bus.ts';
import { BusError } from '../bus-error.ts';
import { planConsumer } from '../consumer-plan.ts';
import { encodeEvent } from '../event-codec.ts';
import { type Log, silent } from '../log.ts';
import { requireShort } from '../subject-bound.ts';
import { SubscriptionSet } from '../subscription-set.ts';
import { ask } from './ask.ts';
import { backlog, countSince, deleteConsumer } from './backlog.ts';
import { consume } from './consume.ts';
import { consumeDownlink } from './consume-downlink.ts';
import { NatsDeadLetters } from './dead-letters.ts';
import { Link } from './link.ts';
import { Operations } from './operations.ts';
import { Pipeline } from './pipeline.ts';
import { Publisher } from './publisher.ts';
import { heard, requestRaw } from './request-raw.ts';
import { type StreamPlan, storedSubject } from './streams.ts';
import { subscribe } from './subscribe.ts';
import { tail } from './tail.ts';
import { Watch } from './watch.ts';

export type NatsBusOptions = {
  /** `nats://[user:password@]host:port`, `tls://…`, or several separated by commas. */
  readonly url: string;
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly log?: Log;
  readonly streams?: Omit<StreamPlan, 'replicas'>;
  /** Copies of each stream in a NATS cluster. Default 1. */
  readonly replicas?: number;
  /** How long a silent consumer keeps a message before another replica gets it, ms. Default 15000. */
  readonly ackWaitMs?: number;
  /** How long disposal waits for handlers in flight, ms. Default 10000. */
  readonly drainMs?: number;
};

/** How long opening waits for the first try to connect. */
const FIRST_TRY_MS = 2000;
/** Of what is sent and forgotten nobody waits for more. */
const SENT = Promise.resolve();

/**
 * A bus over NATS with JetStream (2.10 or newer). Resolves after the first try to connect (2 s at most), whether or
 * not the server is there: the bus goes on trying, with backoff and without end; meanwhile `failure()` says so,
 * publishers wait, and subscriptions begin as soon as there is a connection.
 */
export async function openNatsBus(options: NatsBusOptions): Promise<Bus> {
  const log = options.log ?? silent;
  const { replicas, streams, ackWaitMs = 15_000, drainMs = 10_000 } = options;
  const link = new Link(
    options.url,
    options.name,
    { ...streams, ...(replicas === undefined ? {} : { replicas }) },
    log,
  );
  const publisher = new Publisher(link, log);
  const mqtt = new Publisher(link, log);
  const messages = new Pipeline(link, mqtt);
  const deadLetters = new NatsDeadLetters(link, publisher);
  const watch = new Watch(link);
  const operations = new Operations({ link, log });
  const subscriptions = new SubscriptionSet();
  const keep = (subscription: Promise<Subscription>) => subscriptions.add(subscription);

  await withDeadline(link.firstTry, FIRST_TRY_MS, () => undefined);

  return {
    deadLetters,
    async publish(events, { signal } = {}) {
      for (const event of events) {
        const message = { subject: eventSubject(event), payload: encodeEvent(event), msgID: event.id };
        await publisher.store(message, signal);
      }
    },
    consume: async (consumer, handler) =>
      keep(consume({ link, deadLetters, log, ackWaitMs }, planConsumer(consumer), handler)),
    pending: (consumer) => ask(link, ({ jsm }) => backlog(jsm, planConsumer(consumer))),
    deleteConsumer: ({ durable, ordered = false }) =>
      ask(link, ({ jsm }) => deleteConsumer(jsm, { durable, ordered })),
    countSince: (want) => ask(link, ({ js }) => countSince(js, want)),
    position: () => ask(link, async ({ jsm }) => (await jsm.streams.info(EVENT_STREAM)).state.last_seq),
    tail: (tailOptions, handler) => keep(tail({ link, log }, tailOptions, handler)),
    serve: (operation, handler) =>
      keep(operations.serve(operation as Operation, handler as (input: unknown) => Promise<unknown>)),
    request: (operation, input, { deadlineMs } = {}) => operations.request(operation, input, deadlineMs),
    send(subject, payload, { stored = false, deadlineMs = 5000 } = {}) {
      try {
        requireShort(subject);
        if (stored) return messages.store(storedSubject(subject), payload, deadlineMs);
        if (link.closing.aborted) return Promise.reject(new BusError('closed', 'the bus is closed'));
        if (link.up) link.connection?.nc.publish(subject, payload);
        return SENT;
      } catch (error) {
        return Promise.reject(refusedByClient(subject, error));
      }
    },
    async listen(subject, handler, { onGap } = {}) {
      requireShort(subject);
      return await keep(
        subscribe(link, subject, {
          onGap,
          onMessage: (message) => heard(message, handler, log),
          drained: (subscription) => subscription.drain(),
        }),
      );
    },
    consumeDownlink: (handler) => keep(consumeDownlink({ link, log, ackWaitMs }, handler)),
    async requestRaw(subject, payload, { deadlineMs = 5000 } = {}) {
      if (link.closing.aborted) throw link.closing.reason;
      requireShort(subject);
      return await requestRaw(link, { subject, payload }, deadlineMs);
    },
    failure: () => link.failure() ?? watch.failure() ?? publisher.failure() ?? mqtt.failure(),
    serverTime: () => watch.time(),
    async [Symbol.asyncDispose]() {
      await withDeadline(subscriptions[Symbol.asyncDispose](), drainMs, () => undefined);
      await link[Symbol.asyncDispose]();
      await watch[Symbol.asyncDispose]();
    },
  };
}

/** What the client library would not send: a payload above the server's `max_payload`, or on a connection that ends. */
function refusedByClient(subject: string, cause: unknown): BusError {
  if (cause instanceof BusError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof errors.InvalidArgumentError ? 'too-large' : 'unavailable';
  return new BusError(code, `${subject.slice(0, 64)}: ${text}`, { cause });
}
