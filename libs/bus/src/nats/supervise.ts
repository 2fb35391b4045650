import { backoffMs, pause } from '@signet/async';
import type { Subscription } from '../bus.ts';
import type { Log } from '../log.ts';
import { type Connected, type Link, RETRY } from './link.ts';

type Loop = {
  /** Runs until `signal` aborts; calls `started` once it is set up. A rejection starts it anew. */
  start(connected: Connected, control: { readonly signal: AbortSignal; started(): void }): Promise<void>;
  /** Called once on disposal, after the signal; resolves when what is in flight is done. */
  stop(): Promise<void>;
};

/**
 * Keeps a loop running over whatever happens to the server: it is set up anew whenever it breaks off, and after each
 * reconnection (the client library would look after its pulls only within half a minute). Resolves once it is set
 * up, or at once while NATS is unavailable: then it is set up when NATS comes.
 */
export async function supervise(
  { link, log }: { readonly link: Link; readonly log: Log },
  what: string,
  loop: Loop,
): Promise<Subscription> {
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, link.closing]);
  const set = Promise.withResolvers<void>();

  const round = async (attempt: number): Promise<number> => {
    const reconnected = new AbortController();
    const forget = link.onReconnect(() => reconnected.abort());
    let begun = attempt;
    try {
      const connected = await link.connected(signal);
      if (attempt > 1 && link.up) await link.repair(connected);
      await loop.start(connected, {
        signal: AbortSignal.any([signal, reconnected.signal]),
        started: () => {
          begun = 0;
          set.resolve();
        },
      });
    } catch (err) {
      if (!signal.aborted) log.warn({ err, attempt, what }, 'a subscription broke off; setting it up again');
    } finally {
      forget();
    }
    if (!signal.aborted && !reconnected.signal.aborted) await pause(backoffMs(begun + 1, RETRY), { signal });
    return begun + 1;
  };

  const run = async () => {
    for (let attempt = 1; !signal.aborted; ) attempt = await round(attempt);
    set.resolve();
  };
  const running = run();
  if (link.up) await set.promise;
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await loop.stop();
      await running;
    },
  };
}
