import type { Bus } from '@signet/bus';
import type { Logger } from '@signet/service';
import { announceExpiring, type ExpiryDeps } from '../domain/expiry/announce-expiring.ts';

const EXPIRY_EVERY_MS = 300_000;

/** Looks for certificates that are about to end, at once and every five minutes. */
export function watchExpiry(
  deps: ExpiryDeps & { readonly now: () => number; readonly log: Logger },
): AsyncDisposable {
  let looking: Promise<void> | undefined;
  const look = (): void => {
    looking ??= announceExpiring(deps, deps.now())
      .then((said) => {
        if (said > 0) deps.log.info({ said }, 'certificates are about to expire');
      })
      .catch((error: unknown) => deps.log.warn({ err: error }, 'expiry: could not look; trying again'))
      .finally(() => {
        looking = undefined;
      });
  };
  look();
  const timer = setInterval(look, EXPIRY_EVERY_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}

const PURGE_EVERY_MS = 3_600_000;

/** Purges every hour; replicas that started together do so apart. */
export function watchRetention(
  purge: () => Promise<Readonly<Record<string, number>>>,
  log: Logger,
): AsyncDisposable {
  let running: Promise<void> = Promise.resolve();
  const look = (): void => {
    running = purge().then(
      (purged) => {
        if (Object.values(purged).some((count) => count > 0)) log.info(purged, 'purged what is over');
      },
      (error: unknown) => log.warn({ err: error }, 'purge: could not be done; tried again in an hour'),
    );
    timer = setTimeout(look, PURGE_EVERY_MS).unref();
  };
  let timer = setTimeout(look, PURGE_EVERY_MS * Math.random()).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
      await running;
    },
  };
}

const ROOT_CRLS_EVERY_MS = 600_000;

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
  const timer = setInterval(() => void again(), ROOT_CRLS_EVERY_MS).unref();
  return {
    due: () => due,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await tail[Symbol.asyncDispose]();
      await first;
    },
  };
}
