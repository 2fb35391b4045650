import { randomUUID } from 'node:crypto';
import type { ServiceDeps } from '@signet/service';
import type { Collections } from '../adapters/collections.ts';
import type { EstCaConfig } from '../config.ts';
import { certifiedBy } from '../domain/authority/certified-authorities.ts';
import { readAuthorities } from '../domain/authority/read-authorities.ts';
import type { AuthorityRing } from '../domain/authority/ring.ts';
import type { PublicUrls } from '../domain/certificate/leaf-signer.ts';
import { crlFiles } from '../domain/crl/crl-files.ts';
import { crlPublisher } from '../domain/crl/crl-publisher.ts';
import { rootCrlsDue } from '../domain/crl/root-crl-standing.ts';
import { type ServedCrls, servedCrls } from '../domain/crl/served-crl.ts';
import { followRevocations } from '../messaging/follow-revocations.ts';
import { watchRootCrls } from '../messaging/watch-root-crls.ts';

export type KeptCrls = AsyncDisposable & { readonly served: ServedCrls };

/** Keeps the CRLs up to date, after each revocation and on schedule, and gives them out. */
export async function keepCrls(
  config: EstCaConfig,
  { bus, health, log, metrics, now }: ServiceDeps,
  parts: Pick<Collections, 'authorities' | 'certificates' | 'crlStates' | 'crlChunks' | 'uploadedCrls'> & {
    readonly ring: AuthorityRing;
    readonly urls: PublicUrls;
  },
): Promise<KeptCrls> {
  const { authorities, certificates, ring, urls } = parts;
  await using stack = new AsyncDisposableStack();
  const store = { states: parts.crlStates, files: crlFiles(parts.crlChunks, now) };
  const publisher = crlPublisher({
    ...store,
    certificates,
    certifiedBy: async (id) => certifiedBy(id, await readAuthorities(authorities)),
    urls,
    lifetimeMs: config.SIGNET_EST_CRL_MINUTES * 60_000,
    deltaLifetimeMs: config.SIGNET_EST_CRL_DELTA_MINUTES * 60_000,
    newToken: randomUUID,
    now,
  });
  const served = servedCrls({
    ...store,
    publisher,
    ttlMs: config.SIGNET_EST_CRL_CACHE_SECONDS * 1000,
    now,
    onError: (error, scopeId) => log.warn({ err: error, scopeId }, 'CRL: could not be brought up to date'),
  });
  const healed = metrics.counter<Record<string, never>>(
    'signet_crl_entries_healed_total',
    'Entries that a comparison of CRLs and records put right',
  );
  const revocations = stack.use(
    await followRevocations({
      ...store,
      ...{ bus, certificates, publisher, ring, now, log },
      readAuthorities: () => readAuthorities(authorities),
      partitions: config.SIGNET_EST_CRL_PARTITIONS,
      onHealed: (entries, scopeId) => {
        healed.add({}, entries);
        log.warn({ entries, scopeId }, 'CRL: it differed from the records, and is put right');
      },
    }),
  );
  stack.use(
    health.register('est-ca.crl', () => {
      const failure = revocations.failure();
      return failure === undefined ? undefined : { warning: `CRLs are not brought up to date: ${failure}` };
    }),
  );
  const rootCrls = stack.use(
    await watchRootCrls(
      bus,
      async () => rootCrlsDue(parts.uploadedCrls, await readAuthorities(authorities), now()),
      log,
    ),
  );
  stack.use(
    health.register('est-ca.root-crls', () => {
      const due = rootCrls.due();
      return due.length === 0 ? undefined : { warning: due.join('; ') };
    }),
  );
  const rest = stack.move();
  return { served, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
