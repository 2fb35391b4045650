import { retry } from '@signet/async';
import type { Bus, Subscription } from '@signet/bus';
import { denyKey, type SessionIndex } from '@signet/denylist';
import type { Logger } from './logger.ts';

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
    const { signal } = stopped;
    const subscribe = () =>
      bus.tail({ types: ['DEVICE_RESET'], from: 'new' }, ({ account, subject: deviceId }) => {
        sessions.endDenied([denyKey({ kind: 'device', account, deviceId })]);
      });
    const onFailure = (error: unknown) => log.debug({ err: error }, 'resets: not followed yet');
    return await retry(subscribe, { firstMs: 200, lastMs: 10_000, signal, onFailure }).catch(() => undefined);
  };
  const following = follow();
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await (await following)?.[Symbol.asyncDispose]();
    },
  };
}
