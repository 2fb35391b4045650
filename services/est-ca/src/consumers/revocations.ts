import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '@signet/bus';
import type { Logger } from '@signet/service';
import type { AuthorityDocument } from '../domain/authority/authority.ts';
import { certifiedBy } from '../domain/authority/chains.ts';
import type { IssuerRegistry, SigningCa } from '../domain/authority/issuer-registry.ts';
import {
  type CrlScope,
  parseScope,
  scopeOf,
  scopesOf,
  wholeScope,
} from '../domain/authority/revocation-urls.ts';
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
import { changeOf, changeOfAuthority } from '../domain/crl/revocations.ts';

/** Revocations that come together make one delta; each is listed well within a second. */
const GATHER_MS = 150;
/** So many are gathered at a time: each event is acknowledged once a CRL has it. */
const CONCURRENCY = 256;
/** Never given up: with the store or the key away for days, a revocation still has to be listed. */
const maxDeliveries = 1_000_000;
/** Within this a revocation that was just written is listed, unless something is wrong. */
const SETTLE_MS = 2000;
/** How often each replica looks whether a CRL is due, or a revocation was missed. */
const LOOK_MS = 5000;
/** How often each replica looks for what a process that died left in the store. */
const SWEEP_MS = 6 * 3_600_000;

export type RevocationDeps = {
  readonly bus: Pick<Bus, 'consume'>;
  readonly certificates: Pick<Certificates, 'get' | 'find'>;
  readonly states: Pick<CrlStates, 'find' | 'update' | 'remove'>;
  readonly files: CrlFiles;
  readonly publisher: CrlPublisher;
  readonly registry: Pick<IssuerRegistry, 'byId' | 'missing'>;
  readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
  /** Told how many entries a comparison of records and CRL put right. */
  readonly onHealed: (entries: number, scopeId: string) => void;
  readonly partitions: number;
  readonly now: () => number;
  readonly log: Logger;
};

export interface RevocationListing extends AsyncDisposable {
  /** Why a CRL could not be brought up to date when that was tried last; undefined where all were. */
  failure(): string | undefined;
}

/**
 * Keeps the CRLs of every CA whose key is at hand up to date: after each revocation, and on schedule. The event of a
 * revocation is acknowledged once a CRL that lists it is in the store, so what is listed follows from what happened, and
 * not from what any clock says about it.
 */
export async function followRevocations(deps: RevocationDeps): Promise<RevocationListing> {
  const upkeep = new CrlUpkeep(deps);
  const events = await deps.bus.consume(
    {
      durable: 'est-ca-crl',
      types: ['CERT_REVOKED', 'CERT_RELEASED'],
      concurrency: CONCURRENCY,
      maxDeliveries,
    },
    async (event) => {
      if (event.type === 'CERT_REVOKED' || event.type === 'CERT_RELEASED')
        await upkeep.changed(event.data.serialNumber);
    },
  );
  const authorities = await deps.bus.consume(
    { durable: 'est-ca-crl-authorities', types: ['CA_CHANGED'], maxDeliveries },
    async (event) => {
      if (event.type === 'CA_CHANGED') await upkeep.authorityChanged(event.data.authorityId);
    },
  );
  upkeep.start();
  return {
    failure: () => upkeep.failure,
    async [Symbol.asyncDispose]() {
      await events[Symbol.asyncDispose]();
      await authorities[Symbol.asyncDispose]();
      await upkeep.stop();
    },
  };
}

/** What is about to be listed together. */
type Gathering = {
  readonly serials: string[];
  readonly listed: PromiseWithResolvers<unknown>;
  readonly timer: NodeJS.Timeout;
};

class CrlUpkeep {
  readonly #deps: RevocationDeps;
  readonly #gathering = new Map<string, Gathering>();
  readonly #running = new Set<Promise<void>>();
  readonly #sweptAt = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  readonly #stopping = new AbortController();
  failure: string | undefined;

  constructor(deps: RevocationDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#run(this.#look());
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    for (const { timer, listed } of this.#gathering.values()) {
      clearTimeout(timer);
      listed.reject(new Error('the service stops'));
    }
    await Promise.all(this.#running);
  }

  /** A certificate was revoked or released. Resolves once that is listed. */
  async changed(serialNumber: string): Promise<void> {
    const { certificates, registry, partitions, now } = this.#deps;
    const record = await certificates.get(serialNumber);
    const change = record === undefined ? undefined : changeOf(record);
    if (record === undefined || change === undefined || change.notAfter < now()) return;
    const { authorityId } = record;
    const authority = registry.byId(authorityId);
    if (authority === undefined) {
      if (!registry.missing().includes(authorityId)) return;
      throw new Error(`the key of CA "${authorityId}" is not at hand here`);
    }
    const whole = wholeScope(authorityId);
    const scopes = partitions === 1 ? [whole] : [whole, scopeOf(authorityId, serialNumber, partitions)];
    await Promise.all(scopes.map((scope) => this.#list(authority, scope, serialNumber)));
  }

  /** A CA was put out of force or back in: whoever certified it lists that. */
  async authorityChanged(authorityId: string): Promise<void> {
    const documents = await this.#deps.readAuthorities();
    for (const { id } of documents) {
      const authority = this.#deps.registry.byId(id);
      if (authority === undefined) continue;
      for (const certified of certifiedBy(id, documents)) {
        if (certified.authorityId === authorityId && changeOfAuthority(certified) !== undefined)
          await this.#list(authority, wholeScope(id), certified.serialNumber);
      }
    }
  }

  /** Resolves once what the record of this certificate says is in the CRL of the scope. */
  #list(authority: SigningCa, scope: CrlScope, serialNumber: string): Promise<unknown> {
    if (this.#stopping.signal.aborted) return Promise.reject(new Error('the service stops'));
    const known = this.#gathering.get(scope.id);
    if (known !== undefined) {
      known.serials.push(serialNumber);
      return known.listed.promise;
    }
    const serials = [serialNumber];
    const listed = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      this.#gathering.delete(scope.id);
      this.#deps.publisher.publish(authority, scope, serials).then(listed.resolve, listed.reject);
    }, GATHER_MS);
    this.#gathering.set(scope.id, { serials, listed, timer });
    return listed.promise;
  }

  #run(work: Promise<void>): void {
    const run = work
      .catch((error: unknown) => {
        this.failure = error instanceof Error ? error.message : String(error);
        this.#deps.log.warn({ err: error }, 'CRL: could not be brought up to date; tried again soon');
      })
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  async #look(): Promise<void> {
    try {
      for (const { id } of await this.#deps.readAuthorities())
        for (const scope of await this.#scopesIn(id)) {
          if (this.#stopping.signal.aborted) return;
          await this.#bringUpToDate(scope);
          await this.#compare(scope);
          await this.#removeGarbage(scope);
        }
      this.failure = undefined;
    } finally {
      if (!this.#stopping.signal.aborted)
        this.#timer = setTimeout(() => this.#run(this.#look()), LOOK_MS * (0.75 + Math.random() / 2)).unref();
    }
  }

  /** Those that certificates name by now, and those of an earlier count of partitions: certificates name them still. */
  async #scopesIn(authorityId: string): Promise<readonly CrlScope[]> {
    const scopes = new Map(
      scopesOf(authorityId, this.#deps.partitions).map((scope) => [scope.id, scope] as const),
    );
    for (const id of await knownScopes(this.#deps.states, authorityId)) {
      const scope = parseScope(id);
      if (scope !== undefined) scopes.set(id, scope);
    }
    return [...scopes.values()];
  }

  async #bringUpToDate(scope: CrlScope): Promise<void> {
    const authority = this.#deps.registry.byId(scope.authorityId);
    if (authority !== undefined) await this.#deps.publisher.publish(authority, scope);
  }

  /** Puts right what nothing else brought, once an hour. */
  async #compare(scope: CrlScope): Promise<void> {
    const { registry, states, now, onHealed, readAuthorities } = this.#deps;
    const authority = registry.byId(scope.authorityId);
    const state = await latestState(states, scope.id);
    if (authority === undefined || state === undefined || !isComparisonDue(state, now())) return;
    const healed = await compareCrl(
      {
        ...this.#deps,
        certifiedBy: async (id) => certifiedBy(id, await readAuthorities()),
        settle: () => sleep(SETTLE_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined),
      },
      authority,
      scope,
    );
    if (healed > 0) onHealed(healed, scope.id);
  }

  /** Takes away what lies in the store for nothing. */
  async #removeGarbage(scope: CrlScope): Promise<void> {
    const { files, states, now } = this.#deps;
    await removeReplaced({ files, states, now }, scope.id);
    if (now() < (this.#sweptAt.get(scope.id) ?? 0) + SWEEP_MS) return;
    this.#sweptAt.set(scope.id, now());
    await removeOrphans({ files, states, now }, scope.id);
  }
}
