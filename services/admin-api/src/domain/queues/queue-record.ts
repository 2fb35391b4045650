import type { Consumer } from '@signet/bus';
import { EventQueue, eventTypes } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

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
