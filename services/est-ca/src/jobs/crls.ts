import { setTimeout as sleep } from 'node:timers/promises';
import { repeatedly } from '@signet/async';
import type { Logger } from '@signet/service';
import type { AuthorityDocument } from '../domain/authority/authority.ts';
import { certifiedBy } from '../domain/authority/chains.ts';
import type { IssuerRegistry } from '../domain/authority/issuer-registry.ts';
import { type CrlScope, parseScope, scopesOf } from '../domain/authority/revocation-urls.ts';
import type { Certificates } from '../domain/certificate/certificate.ts';
import { compareCrl, isComparisonDue } from '../domain/crl/compare-crl.ts';
import {
  type CrlFiles,
  type CrlStates,
  knownScopes,
  latestState,
  removeOrphans,
  removeReplaced,
} from '../domain/crl/crl-store.ts';
import type { CrlPublisher } from '../domain/crl/publish-crl.ts';

/** How often each replica looks whether a CRL is due, or a revocation was missed; less up to 40 %. */
const EVERY_MS = 6250;
const JITTER = 0.4;
/** Within this a revocation that was just written is listed, unless something is wrong. */
const SETTLE_MS = 2000;
/** How often each replica looks for what a process that died left in the store. */
const SWEEP_MS = 6 * 3_600_000;

export type CrlScheduleDeps = {
  readonly certificates: Pick<Certificates, 'get' | 'find'>;
  readonly states: Pick<CrlStates, 'find' | 'update' | 'remove'>;
  readonly files: CrlFiles;
  readonly publisher: CrlPublisher;
  readonly registry: Pick<IssuerRegistry, 'byId'>;
  readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
  /** Told how many entries a comparison of records and CRL put right. */
  readonly onHealed: (entries: number, scopeId: string) => void;
  readonly partitions: number;
  readonly now: () => number;
  readonly log: Logger;
};

export interface CrlSchedule extends AsyncDisposable {
  /** Why a CRL could not be brought up to date when that was tried last; undefined where all were. */
  failure(): string | undefined;
}

/** Keeps the CRLs of every CA whose key is at hand up to date on schedule, and takes away what nobody reads. */
export function keepCrlsOnSchedule(deps: CrlScheduleDeps): CrlSchedule {
  const stopping = new AbortController();
  const sweptAt = new Map<string, number>();
  const job = repeatedly(() => lookAtAll(deps, sweptAt, stopping.signal), {
    everyMs: EVERY_MS,
    jitter: JITTER,
    onError: (error) =>
      deps.log.warn({ err: error }, 'CRL: could not be brought up to date; tried again soon'),
  });
  return {
    failure: job.failure,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await job[Symbol.asyncDispose]();
    },
  };
}

async function lookAtAll(
  deps: CrlScheduleDeps,
  sweptAt: Map<string, number>,
  stopping: AbortSignal,
): Promise<void> {
  for (const { id } of await deps.readAuthorities())
    for (const scope of await scopesIn(deps, id)) {
      if (stopping.aborted) return;
      const authority = deps.registry.byId(scope.authorityId);
      if (authority !== undefined) await deps.publisher.publish(authority, scope);
      await compare(deps, scope, stopping);
      await removeGarbage(deps, scope, sweptAt);
    }
}

/** Those that certificates name by now, and those of an earlier count of partitions: certificates name them still. */
async function scopesIn(
  { partitions, states }: CrlScheduleDeps,
  authorityId: string,
): Promise<readonly CrlScope[]> {
  const scopes = new Map(scopesOf(authorityId, partitions).map((scope) => [scope.id, scope] as const));
  for (const id of await knownScopes(states, authorityId)) {
    const scope = parseScope(id);
    if (scope !== undefined) scopes.set(id, scope);
  }
  return [...scopes.values()];
}

/** Puts right what nothing else brought, once an hour. */
async function compare(deps: CrlScheduleDeps, scope: CrlScope, stopping: AbortSignal): Promise<void> {
  const { registry, states, now, onHealed, readAuthorities } = deps;
  const authority = registry.byId(scope.authorityId);
  const state = await latestState(states, scope.id);
  if (authority === undefined || state === undefined || !isComparisonDue(state, now())) return;
  const healed = await compareCrl(
    {
      ...deps,
      certifiedBy: async (id) => certifiedBy(id, await readAuthorities()),
      settle: () => sleep(SETTLE_MS, undefined, { signal: stopping }).catch(() => undefined),
    },
    authority,
    scope,
  );
  if (healed > 0) onHealed(healed, scope.id);
}

/** Takes away what lies in the store for nothing. */
async function removeGarbage(
  { files, states, now }: CrlScheduleDeps,
  scope: CrlScope,
  sweptAt: Map<string, number>,
): Promise<void> {
  await removeReplaced({ files, states, now }, scope.id);
  if (now() < (sweptAt.get(scope.id) ?? 0) + SWEEP_MS) return;
  sweptAt.set(scope.id, now());
  await removeOrphans({ files, states, now }, scope.id);
}
