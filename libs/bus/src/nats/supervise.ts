import type { Subscription } from '../bus.ts';
import type { Log } from '../log.ts';
import { growing, pause } from '../pause.ts';
import type { Connected, Link } from './link.ts';

type Loop = {
  /** Runs until `signal` aborts; calls `started` once it is set up. A rejection starts it anew. */
  start(connected: Connected, control: { readonly signal: AbortSignal; started(): void }): Promise<void>;
  /** Called once on disposal, after the signal; resolves when what is in flight is done. */
  stop(): Promise<void>;
};

/**
 * Keeps a loop running over whatever happens to the server. Resolves once it is set up, or at once while NATS is
 * away: then it is set up when NATS comes.
 */
export async function supervise(
  { link, log }: { readonly link: Link; readonly log: Log },
  what: string,
  loop: Loop,
): Promise<Subscription> {
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, link.closing]);
  const set = Promise.withResolvers<void>();
  const run = async () => {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const connected = await link.connected(signal);
        if (attempt > 1 && link.up) await link.repair(connected);
        await loop.start(connected, {
          signal,
          started: () => {
            attempt = 1;
            set.resolve();
          },
        });
      } catch (err) {
        if (signal.aborted) break;
        log.warn({ err, attempt, what }, 'a subscription broke off; setting it up again');
      }
      if (!signal.aborted) await pause(growing(attempt), signal).catch(() => {});
    }
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
