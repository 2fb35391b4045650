import type { Bus, EventsAfter } from '@signet/bus';
import type { PulledEvent } from '@signet/contracts';

/** How long a batch stays open for what comes right behind, ms. */
const LULL_MS = 25;

/** The next events after a position: waits for the first, and takes those that come right behind it. */
export async function gather(
  bus: Pick<Bus, 'tail'>,
  { types, account, after }: EventsAfter,
  { max, over }: { readonly max: number; readonly over: AbortSignal },
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
    if (found.length === max) end();
    else lull = setTimeout(end, LULL_MS);
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
