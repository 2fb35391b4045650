import type { ServiceDeps } from '@signet/service';
import { unfitUrl, whenAvailable } from '@signet/service';
import { type PullDeps, queuePositions } from '../domain/queues/pull.ts';
import { endedQueues, queueRecords } from '../domain/queues/queue-record.ts';
import { QueueJournal, queueStates } from '../domain/queues/queue-state.ts';
import type { QueueDeps } from '../domain/queues/queues.ts';
import { pushQueues } from './push-queues.ts';

type OpenQueues = AsyncDisposable & {
  readonly queues: QueueDeps & PullDeps;
  /** Nobody waits any longer for events to pull. */
  readonly stop: () => void;
};

/** The event queues of accounts, and what sends those that push. */
export async function openQueues(
  { store, bus, log, now }: Pick<ServiceDeps, 'store' | 'bus' | 'log' | 'now'>,
  options: {
    readonly allowPrivate: boolean;
    readonly backoffMs: readonly number[];
    readonly redeliverMs: number;
  },
): Promise<OpenQueues> {
  const { queues, ended, positions, states } = await whenAvailable(log, async () => ({
    queues: await store.collection(queueRecords),
    ended: await store.collection(endedQueues),
    positions: await store.collection(queuePositions),
    states: await store.collection(queueStates),
  }));
  const journal = new QueueJournal(states);
  const common = { bus, queues, ended, positions, journal, now, ...options };
  const closing = new AbortController();
  const push = pushQueues({ ...common, states, log });
  return {
    queues: {
      ...common,
      unfit: (url) => unfitUrl(url, options.allowPrivate),
      onChange: () => push.look(),
      closing: closing.signal,
    },
    stop: () => closing.abort(),
    [Symbol.asyncDispose]: () => push[Symbol.asyncDispose](),
  };
}
