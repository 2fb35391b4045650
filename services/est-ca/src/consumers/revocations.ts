import type { Bus } from '@signet/bus';
import type { AuthorityDocument } from '../domain/authority/authority.ts';
import { certifiedBy } from '../domain/authority/chains.ts';
import type { IssuerRegistry, SigningCa } from '../domain/authority/issuer-registry.ts';
import { type CrlScope, scopeOf, wholeScope } from '../domain/authority/revocation-urls.ts';
import type { Certificates } from '../domain/certificate/certificate.ts';
import type { CrlPublisher } from '../domain/crl/publish-crl.ts';
import { changeOf, changeOfAuthority } from '../domain/crl/revocations.ts';

/** Revocations that come together make one delta; each is listed well within a second. */
const GATHER_MS = 150;
/** So many are gathered at a time: each event is acknowledged once a CRL has it. */
const CONCURRENCY = 256;
/** Never given up: with the store or the key unavailable for days, a revocation still has to be listed. */
const maxDeliveries = 1_000_000;

export type RevocationDeps = {
  readonly bus: Pick<Bus, 'consume'>;
  readonly certificates: Pick<Certificates, 'get'>;
  readonly publisher: CrlPublisher;
  readonly registry: Pick<IssuerRegistry, 'byId' | 'missing'>;
  readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
  readonly partitions: number;
  readonly now: () => number;
};

/**
 * Lists in CRLs what is revoked or released. The event is acknowledged once a CRL that lists it is in the store, so what
 * is listed follows from what happened, and not from what any clock says about it.
 */
export async function listRevocations(deps: RevocationDeps): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const batches = stack.use(new RevocationBatches(deps.publisher));
  stack.use(
    await deps.bus.consume(
      {
        durable: 'est-ca-crl',
        types: ['CERT_REVOKED', 'CERT_RELEASED'],
        concurrency: CONCURRENCY,
        maxDeliveries,
      },
      async (event) => {
        if (event.type === 'CERT_REVOKED' || event.type === 'CERT_RELEASED')
          await listCertificate(deps, batches, event.data.serialNumber);
      },
    ),
  );
  stack.use(
    await deps.bus.consume(
      { durable: 'est-ca-crl-authorities', types: ['CA_CHANGED'], maxDeliveries },
      async (event) => {
        if (event.type === 'CA_CHANGED') await listAuthority(deps, batches, event.data.authorityId);
      },
    ),
  );
  return stack.move();
}

/** A certificate was revoked or released. Resolves once that is listed. */
async function listCertificate(
  { certificates, registry, partitions, now }: RevocationDeps,
  batches: RevocationBatches,
  serialNumber: string,
): Promise<void> {
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
  await Promise.all(scopes.map((scope) => batches.list(authority, scope, serialNumber)));
}

/** A CA was put out of force or back in: whoever certified it lists that. */
async function listAuthority(
  { readAuthorities, registry }: RevocationDeps,
  batches: RevocationBatches,
  authorityId: string,
): Promise<void> {
  const documents = await readAuthorities();
  for (const { id } of documents) {
    const authority = registry.byId(id);
    if (authority === undefined) continue;
    for (const certified of certifiedBy(id, documents)) {
      if (certified.authorityId === authorityId && changeOfAuthority(certified) !== undefined)
        await batches.list(authority, wholeScope(id), certified.serialNumber);
    }
  }
}

type Batch = {
  readonly serials: string[];
  readonly listed: PromiseWithResolvers<unknown>;
  readonly timer: NodeJS.Timeout;
};

/** What is about to be listed together, by scope. */
class RevocationBatches implements Disposable {
  readonly #publisher: CrlPublisher;
  readonly #batches = new Map<string, Batch>();
  #isStopped = false;

  constructor(publisher: CrlPublisher) {
    this.#publisher = publisher;
  }

  /** Resolves once what the record of this certificate says is in the CRL of the scope. */
  list(authority: SigningCa, scope: CrlScope, serialNumber: string): Promise<unknown> {
    if (this.#isStopped) return Promise.reject(new Error('the service stops'));
    const open = this.#batches.get(scope.id);
    if (open !== undefined) {
      open.serials.push(serialNumber);
      return open.listed.promise;
    }
    const serials = [serialNumber];
    const listed = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      this.#batches.delete(scope.id);
      this.#publisher.publish(authority, scope, serials).then(listed.resolve, listed.reject);
    }, GATHER_MS);
    this.#batches.set(scope.id, { serials, listed, timer });
    return listed.promise;
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    for (const { timer, listed } of this.#batches.values()) {
      clearTimeout(timer);
      listed.reject(new Error('the service stops'));
    }
    this.#batches.clear();
  }
}
