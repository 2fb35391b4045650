import type { Bus } from '@signet/bus';
import type { Logger } from '@signet/service';

const LOOK_EVERY_MS = 600_000;

export interface WatchedRootCrls extends AsyncDisposable {
  /** What the keepers of roots have to sign, as of the last look. */
  due(): readonly string[];
}

/** Looks what the keepers of roots have to sign: at once, after each change of a CA or CRL, and every ten minutes. */
export async function watchRootCrls(
  bus: Pick<Bus, 'tail'>,
  look: () => Promise<readonly string[]>,
  log: Logger,
): Promise<WatchedRootCrls> {
  let due: readonly string[] = [];
  const again = (): Promise<void> =>
    look().then(
      (found) => {
        due = found;
      },
      (error: unknown) => log.warn({ err: error }, 'CRLs of roots: could not look; tried again later'),
    );
  const tail = await bus.tail({ types: ['CA_CHANGED', 'CRL_PUBLISHED'], from: 'new' }, async (event) => {
    if (event.type === 'CA_CHANGED' || (event.type === 'CRL_PUBLISHED' && !event.data.delta)) await again();
  });
  const first = again();
  const timer = setInterval(() => void again(), LOOK_EVERY_MS).unref();
  return {
    due: () => due,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await tail[Symbol.asyncDispose]();
      await first;
    },
  };
}
