import type { Consumer } from '@signet/bus';
import { EventQueue, EventQueueState, eventTypes } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';

export type QueueErrorCode =
  | 'bad-url'
  | 'too-many-queues'
  | 'queue-exists'
  | 'unknown-queue'
  | 'not-a-pull-queue'
  | 'not-handed-out';

/** What an operator asked of an event queue cannot be; `field` names what is at fault. */
export class QueueError extends Error {
  override readonly name = 'QueueError';
  readonly code: QueueErrorCode;
  readonly field: string;

  constructor(code: QueueErrorCode, message: string, field: string) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

/** An event queue; its id is account and name. */
export const QueueRecord = EventQueue.extend({
  id: z.string(),
  /** Signs what is pushed. */
  secret: z.string().optional(),
  /** The position after which a pull queue begins. */
  start: z.number().int().optional(),
});
export type QueueRecord = z.infer<typeof QueueRecord>;

export const queueRecords = {
  name: 'admin-api.queues',
  schema: QueueRecord,
  indexes: { byAccount: { fields: ['account', 'name'] } },
} as const satisfies CollectionSpec<QueueRecord>;
export type Queues = Collection<QueueRecord, keyof typeof queueRecords.indexes>;

/**
 * The queue that had this consumer is deleted. Written before the queue is removed, and kept until every replica has
 * left the consumer and nothing is stored of it any more.
 */
export const EndedQueue = z.object({ id: z.string(), queueId: z.string(), endedAt: z.number() });
export type EndedQueue = z.infer<typeof EndedQueue>;

export const endedQueues = {
  name: 'admin-api.ended-queues',
  schema: EndedQueue,
  indexes: {},
} as const satisfies CollectionSpec<EndedQueue>;
export type EndedQueues = Collection<EndedQueue>;

export function queueId(account: string, name: string): string {
  return `${account}/${name}`;
}

/** What a push queue takes its events by: in order for each device, from its creation on. `backoffMs`: waits after failed tries. */
export function pushConsumer(
  { account, consumer, since, types }: QueueRecord,
  backoffMs: readonly number[],
): Consumer {
  const maxDeliveries = backoffMs.length + 1;
  return {
    durable: consumer,
    types: types ?? eventTypes,
    account,
    since,
    ordered: true,
    maxDeliveries,
    backoffMs,
  };
}

/** As operators see it. */
export function queueView({ id: _id, secret: _secret, start: _start, ...view }: QueueRecord): EventQueue {
  return view;
}

/** What last became of a queue's events; its id is the queue's consumer. */
export const QueueState = EventQueueState.pick({ lastDelivered: true, lastFailure: true }).extend({
  id: z.string(),
});
export type QueueState = z.infer<typeof QueueState>;

export const queueStates = {
  name: 'admin-api.queue-states',
  schema: QueueState,
  indexes: {},
} as const satisfies CollectionSpec<QueueState>;
export type QueueStates = Collection<QueueState>;

type News = Omit<QueueState, 'id'>;

/** Gathers what became of deliveries, and writes the latest of each queue once in a while. */
export class QueueJournal {
  readonly #states: QueueStates;
  #news = new Map<string, News>();

  constructor(states: QueueStates) {
    this.#states = states;
  }

  note(consumer: string, news: News): void {
    this.#news.set(consumer, { ...this.#news.get(consumer), ...news });
  }

  async get(consumer: string): Promise<News> {
    const stored = await this.#states.get(consumer);
    return later({ ...stored, id: consumer }, this.#news.get(consumer) ?? {});
  }

  /** Writes what was noted; what could not be written is written with what comes next. */
  async flush(): Promise<void> {
    const noted = this.#news;
    this.#news = new Map();
    for (const [id, news] of noted) {
      try {
        await this.#write(id, news);
      } catch (error) {
        for (const [consumer, old] of noted)
          this.#news.set(consumer, { ...old, ...this.#news.get(consumer) });
        throw error;
      }
    }
  }

  async #write(id: string, news: News): Promise<void> {
    try {
      await this.#states.insert({ id, ...news });
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      await this.#states.update(id, (current) => ({ document: later(current, news) }));
    }
  }
}

/** Of two replicas' news the later. */
function later(current: QueueState, news: News): QueueState {
  const lastDelivered = latest(current.lastDelivered, news.lastDelivered);
  const lastFailure = latest(current.lastFailure, news.lastFailure);
  return {
    id: current.id,
    ...(lastDelivered === undefined ? {} : { lastDelivered }),
    ...(lastFailure === undefined ? {} : { lastFailure }),
  };
}

function latest<T extends { at: string }>(one: T | undefined, other: T | undefined): T | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.at > other.at ? one : other;
}
