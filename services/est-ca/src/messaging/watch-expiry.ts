import type { Logger } from '@signet/service';
import { announceExpiring, type ExpiryDeps } from '../domain/expiry/announce-expiring.ts';

const LOOK_EVERY_MS = 300_000;

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
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}
