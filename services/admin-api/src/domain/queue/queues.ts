import { randomBytes } from 'node:crypto';
import type { Bus } from '@signet/bus';
import { type EventQueue, type EventQueueRequest, type EventQueueState, eventTypes } from '@signet/contracts';
import { isDuplicate } from '@signet/store';
import { positionOf, type QueuePositions } from './pull.ts';
import type { QueueJournal } from './queue-record.ts';
import {
  type EndedQueues,
  pushConsumer,
  QueueError,
  type QueueRecord,
  type Queues,
  queueId,
  queueView,
} from './queue-record.ts';

/** Queues that one account may have: each costs the bus a consumer for each partition. */
export const MOST_QUEUES = 10;

export type QueueDeps = {
  readonly bus: Pick<Bus, 'pending' | 'countSince' | 'position' | 'deadLetters'>;
  readonly queues: Queues;
  readonly ended: EndedQueues;
  readonly positions: QueuePositions;
  readonly journal: QueueJournal;
  /** Why a URL may not be called. */
  readonly unfit: (url: string) => string | undefined;
  /** Waits after failed deliveries. */
  readonly backoffMs: readonly number[];
  readonly now: () => number;
  /** Takes up queues that are new, and leaves those that ended. */
  readonly onChange: () => Promise<void>;
};

/**
 * Makes a queue; its secret is given this once. Of one that is there the URL alone can be changed.
 * @throws QueueError `bad-url`, `too-many-queues`, `queue-exists`
 */
export async function putQueue(
  deps: QueueDeps,
  wanted: EventQueueRequest & { readonly account: string; readonly name: string; readonly by: string },
): Promise<EventQueue & { secret?: string }> {
  const { account, name, url } = wanted;
  const why = url === undefined ? undefined : deps.unfit(url);
  if (why !== undefined) throw new QueueError('bad-url', `url: ${why}`, 'url');
  const id = queueId(account, name);
  const known = await deps.queues.get(id);
  if (known !== undefined) return changed(deps, known, wanted);
  if ((await deps.queues.count({ index: 'byAccount', equals: { account } })) >= MOST_QUEUES)
    throw new QueueError(
      'too-many-queues',
      `account: "${account}" has ${MOST_QUEUES} queues, and may not have more`,
      'account',
    );
  const record: QueueRecord = {
    ...wanted,
    id,
    since: new Date(deps.now()).toISOString(),
    consumer: `queue-${randomBytes(10).toString('hex')}`,
    ...(wanted.kind === 'push'
      ? { secret: `whsec_${randomBytes(32).toString('base64')}` }
      : { start: await deps.bus.position() }),
  };
  try {
    await deps.queues.insert(record);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    throw exists(name, 'name: somebody else is making it');
  }
  await deps.onChange();
  return { ...queueView(record), ...(record.secret === undefined ? {} : { secret: record.secret }) };
}

export async function listQueues(
  { queues }: Pick<QueueDeps, 'queues'>,
  account: string,
): Promise<EventQueue[]> {
  const { items } = await queues.find({ index: 'byAccount', equals: { account }, limit: 1000 });
  return items.map(queueView);
}

/** @throws QueueError `unknown-queue` */
export async function knownQueue(
  { queues }: Pick<QueueDeps, 'queues'>,
  account: string,
  name: string,
): Promise<QueueRecord> {
  const queue = await queues.get(queueId(account, name));
  if (queue === undefined)
    throw new QueueError('unknown-queue', `name: account "${account}" has no queue "${name}"`, 'name');
  return queue;
}

/** @throws QueueError `unknown-queue`, `not-a-pull-queue` */
export async function pullQueue(
  deps: Pick<QueueDeps, 'queues'>,
  account: string,
  name: string,
): Promise<QueueRecord> {
  const queue = await knownQueue(deps, account, name);
  if (queue.kind === 'pull') return queue;
  throw new QueueError('not-a-pull-queue', `name: "${name}" is a queue that pushes`, 'name');
}

/** @throws QueueError `unknown-queue` */
export async function getQueue(deps: QueueDeps, account: string, name: string): Promise<EventQueueState> {
  const queue = await knownQueue(deps, account, name);
  if (queue.kind === 'pull') return pullState(deps, queue);
  const [pending, letters, state] = await Promise.all([
    deps.bus.pending(pushConsumer(queue, deps.backoffMs)),
    deps.bus.deadLetters.list(queue.consumer),
    deps.journal.get(queue.consumer),
  ]);
  const { lastDelivered, lastFailure } = state;
  return {
    ...queueView(queue),
    pending,
    deadLetters: letters.length,
    ...(lastDelivered === undefined ? {} : { lastDelivered }),
    ...(lastFailure === undefined ? {} : { lastFailure }),
  };
}

/**
 * What is on its way may still arrive; what waits, and what was given up, is dropped.
 * @throws QueueError `unknown-queue`
 */
export async function deleteQueue(deps: QueueDeps, account: string, name: string): Promise<void> {
  const { id: queueId, consumer } = await knownQueue(deps, account, name);
  await deps.ended.insert({ id: consumer, queueId, endedAt: deps.now() }).catch((error: unknown) => {
    if (!isDuplicate(error)) throw error;
  });
  await deps.queues.remove(queueId, (current) => current.consumer === consumer);
  await deps.onChange();
}

async function pullState({ bus, positions }: QueueDeps, queue: QueueRecord): Promise<EventQueueState> {
  const { position } = await positionOf(positions, queue);
  const { account, types = eventTypes } = queue;
  const pending = await bus.countSince({ account, types, after: position });
  return { ...queueView(queue), pending, deadLetters: 0, acknowledged: position };
}

async function changed(
  { queues }: QueueDeps,
  known: QueueRecord,
  { name, kind, types, url }: EventQueueRequest & { readonly name: string },
): Promise<EventQueue> {
  // asked of the queue that is written: another may have been made under this name
  const document = await queues.update(known.id, (current) => {
    if (kind !== current.kind) throw exists(name, `kind: it is a ${current.kind} queue`);
    if (types?.toSorted().join() !== current.types?.toSorted().join())
      throw exists(name, `types: it has ${current.types?.join(', ') ?? 'all'}`);
    return url === undefined || url === current.url ? undefined : { document: { ...current, url } };
  });
  return queueView(document);
}

function exists(name: string, why: string): QueueError {
  return new QueueError(
    'queue-exists',
    `${why}; delete queue "${name}" to make it anew`,
    why.slice(0, why.indexOf(':')),
  );
}
