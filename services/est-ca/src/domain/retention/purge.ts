import { type Collection, type Query, type Stored, unchanged } from '@signet/store';
import type { AuthorityDocument } from '../authority/authority.ts';
import { pendingRoots } from '../authority/replacement.ts';
import type { ServerCertificateRecord } from '../authority/server-certificate.ts';
import { STATEMENT_LIFETIME_MS, type UsedStatement } from '../authority/statement.ts';
import type { Renewal } from '../certificate/reservation.ts';
import { otherWork } from '../crl/crl-store.ts';
import type { Grant } from '../grant/grant.ts';

const PAGE = 200;
/** Grants that are over are kept so long for whoever asks why a device was refused. */
const GRANT_MS = 30 * 86_400_000;
const MARGIN_MS = 3_600_000;

type Purged<T extends Stored, I extends string> = Pick<Collection<T, I>, 'find' | 'remove'>;

export type PurgeDeps = {
  readonly grants: Purged<Grant, 'expiring'>;
  readonly renewals: Purged<Renewal, 'passing'>;
  readonly statements: Purged<UsedStatement, 'used'>;
  readonly serverCertificates: Purged<ServerCertificateRecord, 'ending'>;
  readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
};

/**
 * Removes what can decide nothing any more: grants that expired long ago, reservations of renewals whose request is no
 * retry any more, statements that are too old to be used again, TLS certificates of services that ended long ago. Page by page, and safe for any number of replicas. While a
 * root is being replaced, grants made since are kept: they tell who was handed the new one.
 * @returns how many of each this call removed
 */
export async function purge(
  deps: PurgeDeps,
  now: number,
): Promise<{
  readonly grants: number;
  readonly renewals: number;
  readonly statements: number;
  readonly serverCertificates: number;
}> {
  const time = (ms: number) => new Date(ms).toISOString();
  const accounts = new Map<string, string | undefined>();
  const documents = await deps.readAuthorities();
  const keptSince = (account: string): string | undefined => {
    if (!accounts.has(account))
      accounts.set(
        account,
        pendingRoots(documents, account)
          .map(({ createdAt, replacement }) => replacement?.since ?? createdAt)
          .toSorted()[0],
      );
    return accounts.get(account);
  };
  return {
    grants: await removeAll(
      deps.grants,
      { index: 'expiring', to: time(now - GRANT_MS) },
      ({ account, createdAt }) => createdAt < (keptSince(account) ?? '~'),
    ),
    renewals: await removeAll(deps.renewals, { index: 'passing', to: time(now) }),
    statements: await removeAll(deps.statements, {
      index: 'used',
      to: time(now - STATEMENT_LIFETIME_MS - MARGIN_MS),
    }),
    serverCertificates: await removeAll(deps.serverCertificates, {
      index: 'ending',
      to: time(now - GRANT_MS),
    }),
  };
}

async function removeAll<T extends Stored, I extends string>(
  collection: Purged<T, I>,
  query: Query<T, I>,
  may: (document: T) => boolean = () => true,
): Promise<number> {
  let removed = 0;
  let cursor: string | undefined;
  do {
    const page = await collection.find({
      ...query,
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const over = page.items.filter(may);
    // another document may have taken the id since: a new grant that of the old one
    const gone = await Promise.all(over.map((read) => collection.remove(read.id, unchanged(read))));
    removed += gone.filter(Boolean).length;
    cursor = page.next;
    await otherWork();
  } while (cursor !== undefined);
  return removed;
}
