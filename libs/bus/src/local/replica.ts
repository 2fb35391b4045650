import { deadlineIn, withDeadline } from '@signet/async';
import { type Operation, parseMqttSubject } from '@signet/contracts';
import { appendStatements, type Statement } from '@signet/sqlite';
import type { Bus } from '../bus.ts';
import { BusError } from '../bus-error.ts';
import { planConsumer } from '../consumer-plan.ts';
import { requireShort } from '../subject-bound.ts';
import { SubscriptionSet } from '../subscription-set.ts';
import { backlog, countSince, deleteConsumer } from './backlog.ts';
import type { LocalBroker } from './local-broker.ts';
import { fullness, segmentRemoval } from './retention.ts';
import { StoredMessages } from './stored-messages.ts';
import { lastPosition, Tail } from './tail.ts';

/** Of what is sent and forgotten nobody waits for more. */
const SENT = Promise.resolve();
/** Old rows that leave with each one that comes: more than one, so that the log shrinks to its bounds. */
const REMOVED_AT_ONCE = 4;

/** One participant. Disposing of it ends its own subscriptions only. */
export function openReplica(broker: LocalBroker, drainMs: number): Bus {
  const closing = new AbortController();
  const subscriptions = new SubscriptionSet();
  const store = async (
    unit: readonly Statement[],
    { until, full }: { until?: () => AbortSignal; full?: () => string | undefined },
  ) => {
    closing.signal.throwIfAborted();
    const ends = () => (until === undefined ? closing.signal : AbortSignal.any([until(), closing.signal]));
    await broker.writer.write(unit, { until: ends, ...(full && { full }) }).catch((error: unknown) => {
      closing.signal.throwIfAborted();
      throw error;
    });
  };

  const messages = new StoredMessages({
    write: (unit, until) => store(unit, { until }),
    removal: () => segmentRemoval(broker.limits, Date.now(), REMOVED_AT_ONCE),
    onStored: (stored) => {
      for (const { subject, payload } of stored) broker.listeners.send(subject, payload);
    },
  });

  const storeDown = async (subject: string, payload: Uint8Array, deadlineMs: number) => {
    const sql = 'INSERT INTO bus_down (subject, payload, at) VALUES (?, ?, ?)';
    const begun = performance.now();
    await store([{ sql, params: [subject, payload, Date.now()] }], {
      until: () => deadlineIn(begun + deadlineMs - performance.now()),
    });
    broker.down.grown();
  };

  return {
    deadLetters: broker.deadLetters,
    async publish(events, { signal } = {}) {
      if (events.length === 0) return;
      await store(appendStatements(events), {
        ...(signal && { until: () => signal }),
        full: () => fullness(broker.database, broker.limits),
      });
    },
    async consume(consumer, handler) {
      closing.signal.throwIfAborted();
      return subscriptions.add(broker.join(planConsumer(consumer), handler));
    },
    async pending(consumer) {
      return backlog(broker.database, planConsumer(consumer));
    },
    async deleteConsumer({ durable }) {
      await broker.cursors.flush();
      await deleteConsumer(broker.writer, durable);
    },
    async countSince(want) {
      return countSince(broker.database, want);
    },
    async position() {
      return lastPosition(broker.database);
    },
    async tail(options, handler) {
      closing.signal.throwIfAborted();
      return subscriptions.add(broker.follow(new Tail(broker.database, options, handler, broker.log)));
    },
    async serve(operation, handler) {
      closing.signal.throwIfAborted();
      const untyped = handler as (input: unknown) => Promise<unknown>;
      return subscriptions.add(broker.operations.serve(operation as Operation, untyped));
    },
    request: (operation, input, { deadlineMs } = {}) =>
      broker.operations.request(operation, input, deadlineMs),
    send(subject, payload, { stored = false, deadlineMs = 5000 } = {}) {
      if (closing.signal.aborted) return Promise.reject(closing.signal.reason);
      try {
        requireShort(subject);
      } catch (error) {
        return Promise.reject(error);
      }
      if (stored && isDown(subject)) return storeDown(subject, payload, deadlineMs);
      if (stored) return messages.store({ subject, payload }, deadlineMs);
      broker.listeners.send(subject, payload);
      return SENT;
    },
    async listen(subject, handler) {
      closing.signal.throwIfAborted();
      requireShort(subject);
      return subscriptions.add(broker.listeners.add(subject, handler));
    },
    async consumeDownlink(handler) {
      closing.signal.throwIfAborted();
      return subscriptions.add(broker.down.take(handler));
    },
    async requestRaw(subject, payload) {
      closing.signal.throwIfAborted();
      requireShort(subject);
      return await broker.listeners.request({ subject, payload });
    },
    failure: () => (closing.signal.aborted ? 'the bus is closed' : broker.failure()),
    serverTime: () => undefined,
    async [Symbol.asyncDispose]() {
      await withDeadline(subscriptions[Symbol.asyncDispose](), drainMs, () => undefined);
      closing.abort(new BusError('closed', 'the bus is closed'));
    },
  };
}

/** Of a device's own messages each is stored, so this is asked for each: a look is enough to say no. */
function isDown(subject: string): boolean {
  return subject.includes('.down.') && parseMqttSubject(subject)?.way === 'down';
}
