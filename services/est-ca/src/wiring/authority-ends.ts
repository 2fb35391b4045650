import type { ServiceDeps } from '@signet/service';
import type { Collections } from '../adapters/collections.ts';
import type { EstCaConfig } from '../config.ts';
import { announceEnds } from '../domain/authority/announce-ends.ts';
import { readAuthorities } from '../domain/authority/read-authorities.ts';
import type { AuthorityRing } from '../domain/authority/ring.ts';
import { neededValidity } from '../domain/profile/needed-validity.ts';
import { watchEnds } from '../messaging/watch-ends.ts';
import { profileDeps } from './enrollment.ts';

/** Reports CAs whose end draws near: an event of each, and a warning in `/ready`. */
export async function watchAuthorityEnds(
  config: EstCaConfig,
  { bus, health, log, now }: ServiceDeps,
  parts: Pick<Collections, 'authorities' | 'profiles'> & { readonly ring: AuthorityRing },
): Promise<AsyncDisposable> {
  const profiles = profileDeps(config, { now }, parts);
  await using stack = new AsyncDisposableStack();
  const ends = stack.use(
    await watchEnds(
      bus,
      () =>
        announceEnds({
          authorities: parts.authorities,
          readAuthorities: () => readAuthorities(parts.authorities),
          neededValidity: (account) => neededValidity(profiles, account),
          withinDays: config.SIGNET_EST_VALIDITY_DAYS * 2,
          now,
        }),
      log,
    ),
  );
  stack.use(
    health.register('est-ca.ends', () => {
      const near = ends.near();
      return near.length === 0 ? undefined : { warning: near.join('; ') };
    }),
  );
  return stack.move();
}
