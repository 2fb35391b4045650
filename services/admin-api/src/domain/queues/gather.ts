import type { Bus, EventsAfter } from '@signet/bus';
import type { PulledEvent } from '@signet/contracts';

/** How long a batch stays open for what comes right behind, and for what is known to be there, ms. */
const LULL_MS = 25;
const EXPECTED_MS = 2000;

/**
 * The next events after a position: waits for the first, and takes those that come right behind it. `expected`: so many
 * are there already.
 */
export async function gather(
  bus: Pick<Bus, 'tail'>,
  { types, account, after }: EventsAfter,
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
