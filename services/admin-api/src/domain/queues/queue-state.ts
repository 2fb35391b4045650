import { EventQueueState } from '@signet/contracts';
import { type Collection, type CollectionSpec, StoreError } from '@signet/store';
import { z } from 'zod';

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
      if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
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
