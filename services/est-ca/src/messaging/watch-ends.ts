import type { Bus } from '@signet/bus';
import { type Logger, processTicks, type Ticks } from '@signet/service';
import type { NearEnd } from '../domain/authority/announce-ends.ts';

const LOOK_EVERY_MS = 3_600_000;

export interface WatchedEnds extends AsyncDisposable {
  /** CAs whose end draws near, as of the last look. */
  near(): readonly NearEnd[];
}

/**
 * Looks after the ends of CAs: before it resolves, whenever a CA was made or changed, and when the clock is an hour
 * further, or was set back.
 */
export async function watchEnds(
  deps: {
    readonly bus: Pick<Bus, 'tail'>;
    readonly log: Logger;
    readonly now: () => number;
    readonly ticks?: Ticks | undefined;
  },
  look: () => Promise<readonly NearEnd[]>,
): Promise<WatchedEnds> {
  const { bus, log, now, ticks = processTicks } = deps;
  let near: readonly NearEnd[] = [];
  let lookedAt = now();
  let running: Promise<void> | undefined;
  let again: Promise<void> | undefined;
  const take = async (): Promise<void> => {
    lookedAt = now();
    try {
      near = await look();
      report(near, log);
    } catch (error) {
      log.warn({ err: error }, 'ends of CAs: could not look; tried again at the next change, or in an hour');
    }
  };
  const start = (): Promise<void> => {
    running = take().finally(() => {
      running = undefined;
    });
    return running;
  };
  // what is asked for while one runs starts after it: what runs may have read too early
  const lookAgain = (): Promise<void> => {
    if (running === undefined) return start();
    again ??= running.then(() => {
      again = undefined;
      return start();
    });
    return again;
  };
  await start();
  const tail = await bus.tail({ types: ['CA_CREATED', 'CA_CHANGED'], from: 'new' }, () => void lookAgain());
  const tick = ticks.on(() =>
    Math.abs(now() - lookedAt) >= LOOK_EVERY_MS || now() < lookedAt ? lookAgain() : undefined,
  );
  return {
    near: () => near,
    async [Symbol.asyncDispose]() {
      tick[Symbol.dispose]();
      await tail[Symbol.asyncDispose]();
      await (again ?? running);
    },
  };
}

/** The nearer the end, the louder. */
function report(near: readonly NearEnd[], log: Logger): void {
  for (const { authorityId, account, stage, text } of near)
    log[stage === 'near' ? 'warn' : 'error']({ authorityId, account, stage }, text);
}
