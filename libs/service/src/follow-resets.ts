import type { Bus, Subscription } from '@signet/bus';
import { denyKey, type SessionIndex } from '@signet/denylist';
import type { Logger } from './logger.ts';
import { backoffMs, pause } from './pause.ts';

/**
 * A device that is reset or given up has no session any more, at whichever listener of this process: by its id, for what
 * is on record of its certificates may be less than what it has. Returns at once; the bus may come later.
 */
export function followResets(parts: {
  readonly bus: Pick<Bus, 'tail'>;
  readonly sessions: Pick<SessionIndex, 'endDenied'>;
  readonly log: Logger;
}): AsyncDisposable {
  const { bus, sessions, log } = parts;
  const stopped = new AbortController();
  const follow = async (): Promise<Subscription | undefined> => {
    for (let failures = 0; !stopped.signal.aborted; ) {
      try {
        return await bus.tail({ types: ['DEVICE_RESET'], from: 'new' }, ({ account, subject: deviceId }) => {
          sessions.endDenied([denyKey({ kind: 'device', account, deviceId })]);
        });
      } catch (error) {
        log.debug({ err: error }, 'resets: not followed yet');
        await pause(backoffMs(failures++, 200, 10_000), stopped.signal);
      }
    }
    return undefined;
  };
  const following = follow();
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await (await following)?.[Symbol.asyncDispose]();
    },
  };
}
