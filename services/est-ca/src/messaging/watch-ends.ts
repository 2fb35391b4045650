import type { Bus } from '@signet/bus';
import type { Logger } from '@signet/service';

const LOOK_EVERY_MS = 3_600_000;

export interface WatchedEnds extends AsyncDisposable {
  /** CAs whose end draws near, as of the last look. */
  near(): readonly string[];
}

/** Looks for CAs whose end draws near: at once, whenever one was made or changed, and every hour. */
export async function watchEnds(
  bus: Pick<Bus, 'tail'>,
  look: () => Promise<readonly string[]>,
  log: Logger,
): Promise<WatchedEnds> {
  let near: readonly string[] = [];
  let running: Promise<void> = Promise.resolve();
  const again = (): void => {
    running = look().then(
      (found) => {
        near = found;
      },
      (error: unknown) => log.warn({ err: error }, 'ends of CAs: could not look; tried again in an hour'),
    );
  };
  const tail = await bus.tail({ types: ['CA_CREATED', 'CA_CHANGED'], from: 'new' }, again);
  again();
  const timer = setInterval(again, LOOK_EVERY_MS).unref();
  return {
    near: () => near,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await tail[Symbol.asyncDispose]();
      await running;
    },
  };
}
