import { randomUUID } from 'node:crypto';
import type { Bus, EventsSince } from '@signet/bus';
import { eventTypes, type PulledEvent } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import { QueueError, type QueueRecord } from './queue-record.ts';

/** How far a pull queue has come, and what is handed out of it; its id is the queue's consumer. */
export const QueuePosition = z.object({
  id: z.string(),
  /** All up to here is acknowledged. */
  position: z.number().int(),
  /** The events that somebody has in hand until `until` (Unix ms); then they are handed out again. */
  handed: z
    .object({ batch: z.string(), from: z.number().int(), to: z.number().int(), until: z.number() })
    .optional(),
});
export type QueuePosition = z.infer<typeof QueuePosition>;

export const queuePositions = {
  name: 'admin-api.queue-positions',
  schema: QueuePosition,
  indexes: {},
} as const satisfies CollectionSpec<QueuePosition>;
export type QueuePositions = Collection<QueuePosition>;

export type PullDeps = {
  readonly bus: Pick<Bus, 'tail' | 'countSince' | 'position'>;
  readonly positions: QueuePositions;
  /** How long what was handed out may stay unacknowledged, ms. */
  readonly redeliverMs: number;
  readonly now: () => number;
  /** Aborts when the service stops: who waits then gets nothing. */
  readonly closing: AbortSignal;
};

const LOOK_MS = 250;

/**
 * Hands out the next events of a pull queue, at most `max`; waits for the first of them, and for the acknowledgement of
 * those that somebody has in hand: there is one batch at a time, so that the order holds. None came: an empty list.
 */
export async function pull(
  deps: PullDeps,
  queue: QueueRecord,
  { max, waitMs }: { readonly max: number; readonly waitMs: number },
): Promise<PulledEvent[]> {
  const over = AbortSignal.any([AbortSignal.timeout(waitMs), deps.closing]);
  while (!over.aborted) {
    const current = await positionOf(deps.positions, queue);
    if (current.handed !== undefined && current.handed.until > deps.now()) {
      await pause(LOOK_MS, over);
      continue;
    }
    const { account, types = eventTypes } = queue;
    const end = await deps.bus.position();
    const after = current.position;
    const expected = await deps.bus.countSince({ types, account, after });
    if (expected === 0 && end > after) {
      await passOver(deps.positions, current, end);
      continue;
    }
    const found = await gather(deps.bus, { types, account, after }, { max, expected, over });
    const [first, last] = [found[0], found.at(-1)];
    if (first === undefined || last === undefined) break;
    const batch = randomUUID();
    const handed = { batch, from: first.position, to: last.position, until: deps.now() + deps.redeliverMs };
    const taken = await deps.positions.update(queue.consumer, (stored) =>
      stored.position === after && stored.handed?.batch === current.handed?.batch
        ? { document: { ...stored, handed } }
        : undefined,
    );
    if (taken.handed?.batch === batch) return found;
  }
  return [];
}

/**
 * Acknowledges all that was handed out up to `position`; what came after it is handed out again.
 * @throws QueueError `not-handed-out`
 */
export async function acknowledge(
  { positions }: Pick<PullDeps, 'positions'>,
  queue: QueueRecord,
  position: number,
): Promise<void> {
  await positionOf(positions, queue);
  await positions.update(queue.consumer, (current) => {
    const { handed, ...rest } = current;
    if (handed !== undefined && handed.from <= position && position <= handed.to)
      return { document: { ...rest, position } };
    if (position <= current.position) return undefined;
    throw new QueueError(
      'not-handed-out',
      `position: ${position} is not of what was handed out last`,
      'position',
    );
  });
}

export async function positionOf(
  positions: Pick<QueuePositions, 'get' | 'insert'>,
  { consumer, start = 0 }: QueueRecord,
): Promise<QueuePosition> {
  const known = await positions.get(consumer);
  if (known !== undefined) return known;
  const begun = { id: consumer, position: start };
  try {
    await positions.insert(begun);
    return begun;
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    return (await positions.get(consumer)) ?? begun;
  }
}

/** Nothing up to `end` is for this queue: it is not looked through again. */
async function passOver(positions: QueuePositions, seen: QueuePosition, end: number): Promise<void> {
  await positions.update(seen.id, (stored) =>
    stored.position === seen.position && stored.handed?.batch === seen.handed?.batch
      ? { document: { id: stored.id, position: end } }
      : undefined,
  );
}

function pause(ms: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      over.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    over.addEventListener('abort', end, { once: true });
  });
}

/** How long a batch stays open for what comes right behind, and for what is known to be there, ms. */
const LULL_MS = 25;
const EXPECTED_MS = 2000;

/**
 * The next events after a position: waits for the first, and takes those that come right behind it. `expected`: so many
 * are there already.
 */
export async function gather(
  bus: Pick<Bus, 'tail'>,
  { types, account, after }: EventsSince,
  { max, expected, over }: { readonly max: number; readonly expected: number; readonly over: AbortSignal },
): Promise<PulledEvent[]> {
  const found: PulledEvent[] = [];
  const done = Promise.withResolvers<void>();
  const end = () => done.resolve();
  let lull: NodeJS.Timeout | undefined;
  over.addEventListener('abort', end, { once: true });
  if (over.aborted) end();
  const tail = await bus.tail({ types, account, from: { after } }, (event, position) => {
    if (found.length >= max) return;
    found.push({ position, event });
    clearTimeout(lull);
    if (found.length === max || found.length === expected) end();
    else lull = setTimeout(end, found.length < expected ? EXPECTED_MS : LULL_MS);
  });
  try {
    await done.promise;
  } finally {
    clearTimeout(lull);
    over.removeEventListener('abort', end);
    await tail[Symbol.asyncDispose]();
  }
  return found;
}
