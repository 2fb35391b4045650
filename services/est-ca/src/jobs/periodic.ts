import { repeatedly } from '@signet/async';
import type { Bus } from '@signet/bus';
import type { Logger } from '@signet/service';
import { announceExpiring, type ExpiryDeps } from '../domain/expiry/announce-expiring.ts';

const EXPIRY_EVERY_MS = 300_000;
const PURGE_EVERY_MS = 3_600_000;
const ROOT_CRLS_EVERY_MS = 600_000;

/** Looks for certificates that are about to end, at once and every five minutes. */
export function watchExpiry(
  deps: ExpiryDeps & { readonly now: () => number; readonly log: Logger },
): AsyncDisposable {
  return repeatedly(
    async () => {
      const said = await announceExpiring(deps, deps.now());
      if (said > 0) deps.log.info({ said }, 'certificates are about to expire');
    },
    {
      everyMs: EXPIRY_EVERY_MS,
      onError: (error) => deps.log.warn({ err: error }, 'expiry: could not look; trying again'),
    },
  );
}

/** Purges every hour; replicas that started together do so apart. */
export function watchRetention(
  purge: () => Promise<Readonly<Record<string, number>>>,
  log: Logger,
): AsyncDisposable {
  return repeatedly(
    async () => {
      const purged = await purge();
      if (Object.values(purged).some((count) => count > 0)) log.info(purged, 'purged what is over');
    },
    {
      everyMs: PURGE_EVERY_MS,
      jitter: 0.1,
      first: 'after-wait',
      onError: (error) => log.warn({ err: error }, 'purge: could not be done; tried again in an hour'),
    },
  );
}

export interface RootCrlsDue extends AsyncDisposable {
  /** What the keepers of roots have to sign, as of the last look. */
  due(): readonly string[];
}

/** Looks what the keepers of roots have to sign: at once, after each change of a CA or CRL, and every ten minutes. */
export async function watchRootCrls(
  bus: Pick<Bus, 'tail'>,
  look: () => Promise<readonly string[]>,
  log: Logger,
): Promise<RootCrlsDue> {
  await using stack = new AsyncDisposableStack();
  let due: readonly string[] = [];
  const job = stack.use(
    repeatedly(
      async () => {
        due = await look();
      },
      {
        everyMs: ROOT_CRLS_EVERY_MS,
        onError: (error) => log.warn({ err: error }, 'CRLs of roots: could not look; tried again later'),
      },
    ),
  );
  stack.use(
    await bus.tail({ types: ['CA_CHANGED', 'CRL_PUBLISHED'], from: 'new' }, (event) => {
      if (event.type === 'CA_CHANGED' || (event.type === 'CRL_PUBLISHED' && !event.data.delta)) job.wake();
    }),
  );
  const rest = stack.move();
  return { due: () => due, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
