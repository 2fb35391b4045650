import type { Operation } from '@signet/contracts';
import { appendStatements, type Statement } from '@signet/store/sqlite';
import type { Bus } from '../bus.ts';
import { BusError } from '../bus-error.ts';
import { planConsumer } from '../consumer-plan.ts';
import { within } from '../pause.ts';
import { SubscriptionSet } from '../subscription-set.ts';
import type { LocalHub } from './hub.ts';
import { fullness } from './retention.ts';
import { Tail } from './tail.ts';

/** One participant. Disposing of it ends its own subscriptions only. */
export function openReplica(hub: LocalHub, drainMs: number): Bus {
  const closing = new AbortController();
  const subscriptions = new SubscriptionSet();
  const store = async (
    unit: readonly Statement[],
    { until, full }: { until?: () => AbortSignal; full?: () => string | undefined },
  ) => {
    closing.signal.throwIfAborted();
    const ends = () => (until === undefined ? closing.signal : AbortSignal.any([until(), closing.signal]));
    await hub.writer.write(unit, { until: ends, ...(full && { full }) }).catch((error: unknown) => {
      closing.signal.throwIfAborted();
      throw error;
    });
  };

  return {
    deadLetters: hub.deadLetters,
    async publish(events, { signal } = {}) {
      if (events.length === 0) return;
      await store(appendStatements(events), {
        ...(signal && { until: () => signal }),
        full: () => fullness(hub.database, hub.limits),
      });
    },
    async consume(consumer, handler) {
      closing.signal.throwIfAborted();
      return subscriptions.add(hub.join(planConsumer(consumer), handler));
    },
    async tail(options, handler) {
      closing.signal.throwIfAborted();
      return subscriptions.add(hub.follow(new Tail(hub.database, options, handler, hub.log)));
    },
    async serve(operation, handler) {
      closing.signal.throwIfAborted();
      const untyped = handler as (input: unknown) => Promise<unknown>;
      return subscriptions.add(hub.operations.serve(operation as Operation, untyped));
    },
    request: (operation, input, { deadlineMs } = {}) => hub.operations.request(operation, input, deadlineMs),
    async send(subject, payload, { stored = false, deadlineMs = 5000 } = {}) {
      closing.signal.throwIfAborted();
      if (stored) {
        const sql = 'INSERT INTO bus_mqtt (subject, payload, at) VALUES (?, ?, ?)';
        const begun = performance.now();
        await store([{ sql, params: [subject, payload, Date.now()] }], {
          until: () => AbortSignal.timeout(Math.max(0, begun + deadlineMs - performance.now())),
        });
      }
      hub.listeners.send({ subject, payload });
    },
    async listen(subject, handler) {
      closing.signal.throwIfAborted();
      return subscriptions.add(hub.listeners.add(subject, handler));
    },
    failure: () => (closing.signal.aborted ? 'the bus is closed' : hub.failure()),
    async [Symbol.asyncDispose]() {
      await within(drainMs, subscriptions[Symbol.asyncDispose]());
      closing.abort(new BusError('closed', 'the bus is closed'));
    },
  };
}
