import { repeatedly } from '@signet/async';
import type { Bus, Subscription } from '@signet/bus';
import type { Logger } from '@signet/service';
import type { AnswerCache } from '../domain/ocsp/answer-cache.ts';

/** What an event missed is made good by. */
const REFRESH_MS = 30_000;

/** Calls `refresh` whenever a CA was made or changed, by whichever replica, and every half minute. */
export async function followAuthorities(
  bus: Pick<Bus, 'tail'>,
  refresh: () => Promise<void>,
  log: Logger,
): Promise<AsyncDisposable> {
  const onError = (error: unknown) => log.warn({ err: error }, 'authorities: cannot be read now');
  await using stack = new AsyncDisposableStack();
  stack.use(
    await bus.tail({ types: ['CA_CREATED', 'CA_CHANGED'], from: 'new' }, () => refresh().catch(onError)),
  );
  stack.use(repeatedly(refresh, { everyMs: REFRESH_MS, first: 'after-wait', onError }));
  return stack.move();
}

/** Lets no replica give again what it said of a certificate before its status changed. */
export function followStatus(bus: Pick<Bus, 'tail'>, cache: AnswerCache): Promise<Subscription> {
  const types = ['CERT_REVOKED', 'CERT_RELEASED', 'CA_CHANGED'] as const;
  return bus.tail({ types, from: 'new' }, (event) => {
    if (event.type === 'CA_CHANGED') cache.clear();
    if (event.type === 'CERT_REVOKED' || event.type === 'CERT_RELEASED')
      cache.changed(event.data.serialNumber);
  });
}
