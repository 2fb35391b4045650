import type { Bus } from '@signet/bus';
import { PLATFORM_ACCOUNT } from '@signet/contracts';
import type { ServiceDeps } from '@signet/service';
import { type Logger, processTicks, type Ticks } from '@signet/service';
import type { Collections } from '../collections.ts';
import type { EstCaConfig } from '../config.ts';
import type { AuthorityKeys } from '../domain/authority/authority.ts';
import type { NearEnd } from '../domain/authority/authority-ends.ts';
import { announceEnds, type NeededValidity, needsOf } from '../domain/authority/authority-ends.ts';
import { readAuthorities } from '../domain/authority/chains.ts';
import type { RefreshedRegistry } from '../domain/authority/issuer-registry.ts';
import type { PublicUrls } from '../domain/authority/revocation-urls.ts';
import { succeedAuthorities } from '../domain/authority/succeed.ts';

const LOOK_EVERY_MS = 3_600_000;

export interface AuthorityEnds extends AsyncDisposable {
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
): Promise<AuthorityEnds> {
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

/**
 * Has a successor in force before a CA ends, and where that is for the owner of its root to do, says so: an event at
 * each stage, the log, and `/ready`. When it resolves, what can be done is done.
 */
export async function watchAuthorityEnds(
  config: EstCaConfig,
  { bus, clock, health, log, now, ticks }: ServiceDeps,
  parts: Pick<Collections, 'authorities' | 'authorityRequests'> & {
    readonly keys: AuthorityKeys;
    readonly registry: RefreshedRegistry;
    readonly urls: PublicUrls;
    readonly neededValidity: (account: string) => Promise<NeededValidity>;
  },
): Promise<AsyncDisposable & { near(): readonly NearEnd[] }> {
  const { authorities, keys, registry, urls } = parts;
  const deps = {
    ...{ authorities, requests: parts.authorityRequests, keys, urls, now },
    needsOf: needsOf({
      profiles: parts.neededValidity,
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
      await registry.refresh();
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
