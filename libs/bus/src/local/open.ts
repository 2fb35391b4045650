import type { Operation } from '@signet/contracts';
import { appendStatements, type SqliteDatabase } from '@signet/store/sqlite';
import type { Bus } from '../bus.ts';
import { planConsumer } from '../consumer-plan.ts';
import { type Log, silent } from '../log.ts';
import { within } from '../pause.ts';
import { SubscriptionSet } from '../subscription-set.ts';
import { ConsumerGroup } from './consumer-group.ts';
import { LocalDeadLetters } from './dead-letters.ts';
import { Listeners } from './listeners.ts';
import { LogWriter } from './log-writer.ts';
import { Operations } from './operations.ts';
import { fullness, type LocalLimits, removals } from './retention.ts';
import { prepareSchema } from './schema.ts';
import { Tail } from './tail.ts';

const RETENTION_EVERY_MS = 10_000;

export type LocalBusOptions = {
  /** The file that the store writes as well. The bus does not close it. */
  readonly database: SqliteDatabase;
  readonly log?: Log;
  readonly limits?: LocalLimits;
  /** How long disposal waits for handlers in flight, ms. Default 10000. */
  readonly drainMs?: number;
};

/**
 * The bus of a single process: a durable log in the SQLite file of the store, everything else in memory. Events that
 * the store appends to the log in its own transactions are delivered like published ones.
 */
export async function openLocalBus(options: LocalBusOptions): Promise<Bus> {
  const { database, log = silent, limits = {}, drainMs = 10_000 } = options;
  await prepareSchema(database);
  const writer = new LogWriter(database, log);
  const groups = new Map<string, ConsumerGroup>();
  const tails = new Set<Tail>();
  const operations = new Operations(log);
  const listeners = new Listeners(log);
  const deadLetters = new LocalDeadLetters(database, writer, (durable) => groups.get(durable)?.revive());
  const subscriptions = new SubscriptionSet();
  const unlisten = database.onCommit(() => {
    for (const group of groups.values()) group.pump();
    for (const tail of tails) tail.pump();
  });
  const retention = setInterval(() => {
    writer
      .write(removals(limits, Date.now()))
      .catch((err) => log.warn({ err }, 'old events could not be removed'));
  }, RETENTION_EVERY_MS);
  retention.unref();

  return {
    deadLetters,
    async publish(events, { signal } = {}) {
      if (events.length === 0) return;
      await writer.write(appendStatements(events), { signal, full: () => fullness(database, limits) });
    },
    async consume(consumer, handler) {
      writer.closing.throwIfAborted();
      const plan = planConsumer(consumer);
      const known = groups.get(plan.durable);
      const group = known ?? new ConsumerGroup(database, writer, plan, log);
      groups.set(plan.durable, group);
      const member = await group.join(plan, handler);
      return subscriptions.add(
        Promise.resolve({
          async [Symbol.asyncDispose]() {
            await member[Symbol.asyncDispose]();
            if (group.empty && groups.get(plan.durable) === group) groups.delete(plan.durable);
          },
        }),
      );
    },
    async tail(tailOptions, handler) {
      writer.closing.throwIfAborted();
      const tail = new Tail(database, tailOptions, handler, log);
      tails.add(tail);
      tail.pump();
      return subscriptions.add(
        Promise.resolve({
          async [Symbol.asyncDispose]() {
            tails.delete(tail);
            await tail[Symbol.asyncDispose]();
          },
        }),
      );
    },
    serve: async (operation, handler) =>
      subscriptions.add(
        Promise.resolve(
          operations.serve(operation as Operation, handler as (input: unknown) => Promise<unknown>),
        ),
      ),
    request: (operation, input, { deadlineMs } = {}) => operations.request(operation, input, deadlineMs),
    async send(subject, payload, { stored = false, deadlineMs = 5000 } = {}) {
      writer.closing.throwIfAborted();
      if (stored) {
        const insert = 'INSERT INTO bus_mqtt (subject, payload, at) VALUES (?, ?, ?)';
        const signal = AbortSignal.timeout(deadlineMs);
        await writer.write([{ sql: insert, params: [subject, payload, Date.now()] }], { signal });
      }
      listeners.send({ subject, payload });
    },
    listen: async (subject, handler) => subscriptions.add(Promise.resolve(listeners.add(subject, handler))),
    failure: () => writer.failure(),
    async [Symbol.asyncDispose]() {
      clearInterval(retention);
      await within(drainMs, subscriptions[Symbol.asyncDispose]());
      unlisten();
      writer.close();
    },
  };
}
