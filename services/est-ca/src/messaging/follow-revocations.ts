import type { Bus } from '@signet/bus';
import { type CrlChange, encodeSegment } from '@signet/pki';
import type { Logger } from '@signet/service';
import type { AuthorityDocument } from '../domain/authority/authority.ts';
import { certifiedBy } from '../domain/authority/certified-authorities.ts';
import type { AuthorityRing, HeldAuthority } from '../domain/authority/ring.ts';
import type { Certificates } from '../domain/certificate/certificate.ts';
import type { CrlFiles } from '../domain/crl/crl-files.ts';
import type { CrlPublisher } from '../domain/crl/crl-publisher.ts';
import { type CrlScope, parseScope, scopeOf, scopesOf, wholeScope } from '../domain/crl/crl-scope.ts';
import { type CrlStates, knownScopes } from '../domain/crl/crl-state.ts';
import { OVERLAP_MS } from '../domain/crl/plan-crl.ts';
import { changeOf, changeOfAuthority } from '../domain/crl/revocations.ts';
import { removeOrphans, removeReplaced } from '../domain/crl/tidy.ts';

/** Revocations that come together make one delta; each is listed well within a second. */
const GATHER_MS = 150;
/** How often each replica looks whether a CRL is due, or a revocation was missed. */
const LOOK_MS = 5000;
/** How often each replica looks for what a process that died left in the store. */
const SWEEP_MS = 6 * 3_600_000;

export type RevocationDeps = {
  readonly bus: Pick<Bus, 'consume'>;
  readonly certificates: Pick<Certificates, 'get'>;
  readonly states: Pick<CrlStates, 'find' | 'remove'>;
  readonly files: CrlFiles;
  readonly publisher: CrlPublisher;
  readonly ring: Pick<AuthorityRing, 'byId'>;
  readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
  readonly partitions: number;
  readonly now: () => number;
  readonly log: Logger;
};

export interface FollowedRevocations extends AsyncDisposable {
  /** Why a CRL could not be brought up to date when that was tried last; undefined where all were. */
  failure(): string | undefined;
}

/** Keeps the CRLs of every CA whose key is at hand up to date: after each revocation, and on schedule. */
export async function followRevocations(deps: RevocationDeps): Promise<FollowedRevocations> {
  const upkeep = new Upkeep(deps);
  const events = await deps.bus.consume(
    { durable: 'est-ca-crl', types: ['CERT_REVOKED', 'CERT_RELEASED'] },
    async (event) => {
      if (event.type === 'CERT_REVOKED' || event.type === 'CERT_RELEASED')
        await upkeep.changed(event.data.serialNumber);
    },
  );
  const authorities = await deps.bus.consume(
    { durable: 'est-ca-crl-authorities', types: ['CA_CHANGED'] },
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

class Upkeep {
  readonly #deps: RevocationDeps;
  readonly #gathering = new Map<string, NodeJS.Timeout>();
  readonly #running = new Set<Promise<void>>();
  readonly #sweptAt = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  failure: string | undefined;

  constructor(deps: RevocationDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#run(this.#look());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const timer of this.#gathering.values()) clearTimeout(timer);
    await Promise.all(this.#running);
  }

  /**
   * A certificate was revoked or released. What is recent is found by the next scan, by whichever replica makes it; what
   * comes late is handed to it.
   */
  async changed(serialNumber: string): Promise<void> {
    const { certificates, ring, partitions, now } = this.#deps;
    const record = await certificates.get(serialNumber);
    const change = record === undefined ? undefined : changeOf(record);
    const authority = record === undefined ? undefined : ring.byId(record.authorityId);
    if (change === undefined || authority === undefined || change.notAfter < now()) return;
    const authorityId = authority.document.id;
    const whole = wholeScope(authorityId);
    const scopes = partitions === 1 ? [whole] : [whole, scopeOf(authorityId, serialNumber, partitions)];
    await this.#list(authority, scopes, change);
  }

  /** A CA was put out of force or back in: whoever certified it lists that. */
  async authorityChanged(authorityId: string): Promise<void> {
    const documents = await this.#deps.readAuthorities();
    for (const { id } of documents) {
      const authority = this.#deps.ring.byId(id);
      if (authority === undefined) continue;
      for (const certified of certifiedBy(id, documents)) {
        const change = certified.authorityId === authorityId ? changeOfAuthority(certified) : undefined;
        if (change !== undefined) await this.#list(authority, [wholeScope(id)], change);
      }
    }
  }

  async #list(authority: HeldAuthority, scopes: readonly CrlScope[], change: CrlChange): Promise<void> {
    const { publisher, now } = this.#deps;
    if (change.revokedAt > now() - OVERLAP_MS / 2) for (const scope of scopes) this.#soon(scope);
    else {
      const extra = encodeSegment([change]);
      await Promise.all(scopes.map((scope) => publisher.publish(authority, scope, extra)));
    }
  }

  #soon(scope: CrlScope): void {
    if (this.#stopped || this.#gathering.has(scope.id)) return;
    const timer = setTimeout(() => {
      this.#gathering.delete(scope.id);
      this.#run(this.#bringUpToDate(scope));
    }, GATHER_MS);
    this.#gathering.set(scope.id, timer);
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
          if (this.#stopped) return;
          await this.#bringUpToDate(scope);
          await this.#tidy(scope);
        }
      this.failure = undefined;
    } finally {
      if (!this.#stopped)
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
    const authority = this.#deps.ring.byId(scope.authorityId);
    if (authority !== undefined) await this.#deps.publisher.publish(authority, scope);
  }

  /** Takes away what lies in the store for nothing. */
  async #tidy(scope: CrlScope): Promise<void> {
    const { files, states, now } = this.#deps;
    await removeReplaced({ files, states, now }, scope.id);
    if (now() < (this.#sweptAt.get(scope.id) ?? 0) + SWEEP_MS) return;
    this.#sweptAt.set(scope.id, now());
    await removeOrphans({ files, states, now }, scope.id);
  }
}
