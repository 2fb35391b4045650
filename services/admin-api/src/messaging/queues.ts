import type { ServiceDeps } from '@signet/service';
import { whenAvailable } from '@signet/service';
import { endedQueues, queueRecords } from '../domain/queues/queue-record.ts';
import { QueueJournal, queueStates } from '../domain/queues/queue-state.ts';
import type { QueueDeps } from '../domain/queues/queues.ts';
import { pushQueues } from './push-queues.ts';

/** The event queues of accounts, and what sends those that push. */
export async function openQueues(
  { store, bus, log, now }: Pick<ServiceDeps, 'store' | 'bus' | 'log' | 'now'>,
  options: { readonly allowPrivate: boolean; readonly backoffMs: readonly number[] },
): Promise<{ readonly queues: QueueDeps } & AsyncDisposable> {
  const { queues, ended, states } = await whenAvailable(log, async () => ({
    queues: await store.collection(queueRecords),
    ended: await store.collection(endedQueues),
    states: await store.collection(queueStates),
  }));
  const journal = new QueueJournal(states);
  const common = { bus, queues, ended, journal, now, ...options };
  const push = pushQueues({ ...common, states, log });
  return {
    queues: { ...common, onChange: () => push.look() },
    [Symbol.asyncDispose]: () => push[Symbol.asyncDispose](),
  };
}
