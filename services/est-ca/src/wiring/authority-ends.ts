import { PLATFORM_ACCOUNT } from '@signet/contracts';
import type { ServiceDeps } from '@signet/service';
import type { Collections } from '../adapters/collections.ts';
import type { EstCaConfig } from '../config.ts';
import { announceEnds, type NearEnd } from '../domain/authority/announce-ends.ts';
import { needsOf } from '../domain/authority/end.ts';
import { readAuthorities } from '../domain/authority/read-authorities.ts';
import { succeedAuthorities } from '../domain/authority/succeed.ts';
import type { PublicUrls } from '../domain/certificate/leaf-signer.ts';
import { neededValidity } from '../domain/profile/keep-profiles.ts';
import { watchEnds } from '../messaging/watch-ends.ts';
import type { OpenAuthorities } from './authorities.ts';
import { profileDeps } from './enrollment.ts';

/**
 * Has a successor in force before a CA ends, and where that is for the owner of its root to do, says so: an event at
 * each stage, the log, and `/ready`. When it resolves, what can be done is done.
 */
export async function watchAuthorityEnds(
  config: EstCaConfig,
  { bus, clock, health, log, now, ticks }: ServiceDeps,
  parts: Pick<Collections, 'authorities' | 'authorityRequests' | 'profiles'> &
    Pick<OpenAuthorities, 'keys' | 'ring'> & { readonly urls: PublicUrls },
): Promise<AsyncDisposable & { near(): readonly NearEnd[] }> {
  const { authorities, keys, ring, urls } = parts;
  const profiles = profileDeps(config, { now }, parts);
  const deps = {
    ...{ authorities, requests: parts.authorityRequests, keys, urls, now },
    needsOf: needsOf({
      profiles: (account) => neededValidity(profiles, account),
      serverDays: config.SIGNET_EST_SERVER_VALIDITY_DAYS,
    }),
    serverAccount: config.SIGNET_EST_SERVER_ACCOUNT ?? PLATFORM_ACCOUNT,
    onError: (authorityId: string, error: unknown) =>
      log.error({ err: error, authorityId }, 'authorities: no successor could be made'),
  };
  await using stack = new AsyncDisposableStack();
  const ends = stack.use(
    await watchEnds({ bus, log, now, ticks }, async () => {
      // by a clock that leads, CAs seem to end
      const fault = clock?.fault();
      if (fault !== undefined) throw new Error(fault);
      const hindrances = await succeedAuthorities(deps, await readAuthorities(authorities));
      await ring.refresh();
      return announceEnds(deps, await readAuthorities(authorities), hindrances);
    }),
  );
  stack.use(
    health.register('est-ca.ends', () => {
      const near = ends.near();
      if (near.length === 0) return undefined;
      const reason = near
        .toSorted((a, b) => Number(b.fails) - Number(a.fails))
        .map(({ text }) => text)
        .join('; ');
      return near.some(({ fails }) => fails) ? reason : { warning: reason };
    }),
  );
  const rest = stack.move();
  return { near: ends.near, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
