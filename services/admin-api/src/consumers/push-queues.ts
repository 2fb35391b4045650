import { repeatedly } from '@signet/async';
import type { Bus, Subscription } from '@signet/bus';
import type { SignetEvent } from '@signet/contracts';
import { callWebhook, type Logger } from '@signet/service';
import type { Collection } from '@signet/store';
import type { QueuePositions } from '../domain/queue/pull.ts';
import type { QueueJournal, QueueState } from '../domain/queue/queue-record.ts';
import {
  type EndedQueues,
  pushConsumer,
  type QueueRecord,
  type Queues,
} from '../domain/queue/queue-record.ts';

const LOOK_MS = 5000;
const FLUSH_MS = 1000;
const DEADLINE_MS = 10_000;
/** By then every replica has seen that a queue ended, and nobody waits for its events any more. */
const ENDED_MS = 60_000;
const CONTENT_TYPE = 'application/cloudevents+json';

export type PushDeps = {
  readonly bus: Pick<Bus, 'consume' | 'deleteConsumer'>;
  readonly queues: Queues;
  readonly ended: EndedQueues;
  readonly states: Collection<QueueState>;
  readonly positions: QueuePositions;
  readonly journal: QueueJournal;
  readonly allowPrivate: boolean;
  readonly backoffMs: readonly number[];
  readonly now: () => number;
  readonly log: Pick<Logger, 'warn'>;
};

export interface PushQueues extends AsyncDisposable {
  /** Takes up queues that are new, and leaves those that ended. Other replicas follow within seconds. */
  look(): Promise<void>;
}

/**
 * Sends the events of push queues. Each queue is a consumer of its own, one event at a time in each partition: what
 * cannot be sent holds up later events of those devices, of this queue alone.
 */
export function pushQueues(deps: PushDeps): PushQueues {
  const running = new Map<string, Subscription>();
  const leaving = new Set<Promise<void>>();
  const onError = (error: unknown) => deps.log.warn({ err: error }, 'event queues: not all is taken up');

  const leave = (consumer: string, subscription: Subscription): void => {
    running.delete(consumer);
    const left = Promise.resolve(subscription[Symbol.asyncDispose]())
      .catch(onError)
      .finally(() => leaving.delete(left));
    leaving.add(left);
  };

  const turn = async (): Promise<void> => {
    const live = await all(deps.queues);
    const ended = await all(deps.ended);
    const gone = new Set(ended.map(({ id }) => id));
    const wanted = new Map(
      live
        .filter(({ kind, consumer }) => kind === 'push' && !gone.has(consumer))
        .map((queue) => [queue.consumer, queue]),
    );
    for (const [consumer, subscription] of running) if (!wanted.has(consumer)) leave(consumer, subscription);
    for (const [consumer, queue] of wanted) {
      if (running.has(consumer)) continue;
      const handler = (event: SignetEvent, { attempt }: { readonly attempt: number }) =>
        push(deps, queue, event, attempt);
      running.set(consumer, await deps.bus.consume(pushConsumer(queue, deps.backoffMs), handler));
    }
    for (const { id, queueId, endedAt } of ended) {
      if (deps.now() - endedAt < ENDED_MS) continue;
      await deps.queues.remove(queueId, ({ consumer }) => consumer === id);
      await deps.bus.deleteConsumer({ durable: id, ordered: true });
      await deps.states.remove(id);
      await deps.positions.remove(id);
      await deps.ended.remove(id);
    }
  };

  let turns: Promise<void> = Promise.resolve();
  const look = (): Promise<void> => {
    const next = turns.then(turn);
    turns = next.catch(() => {});
    return next;
  };
  const looking = repeatedly(look, { everyMs: LOOK_MS, onError });
  const flushing = repeatedly(() => deps.journal.flush(), { everyMs: FLUSH_MS, onError });
  return {
    look: () => look().catch(onError),
    async [Symbol.asyncDispose]() {
      await looking[Symbol.asyncDispose]();
      await turns;
      for (const [consumer, subscription] of running) leave(consumer, subscription);
      await Promise.all(leaving);
      await flushing[Symbol.asyncDispose]();
      await deps.journal.flush().catch(onError);
    },
  };
}

async function push(deps: PushDeps, queue: QueueRecord, event: SignetEvent, attempt: number): Promise<void> {
  const current = await deps.queues.get(queue.id);
  if (current?.consumer !== queue.consumer || current.url === undefined || current.secret === undefined)
    return;
  const error = await callWebhook({
    ...{ url: current.url, secret: current.secret, id: event.id, body: JSON.stringify(event) },
    ...{ contentType: CONTENT_TYPE, deadlineMs: DEADLINE_MS },
    ...{ allowPrivate: deps.allowPrivate, now: deps.now },
  });
  const at = new Date(deps.now()).toISOString();
  const eventId = event.id;
  deps.journal.note(
    queue.consumer,
    error === undefined
      ? { lastDelivered: { at, eventId } }
      : { lastFailure: { at, eventId, attempt, error } },
  );
  if (error !== undefined) throw new Error(error);
}

async function all<T extends { readonly id: string }>(collection: Collection<T>): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await collection.find({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}
