import type { Authorities, AuthorityDocument } from './authority.ts';
import { withKey } from './ensure-hierarchy.ts';
import type { AuthorityKeys } from './keys.ts';
import { readAuthorities } from './read-authorities.ts';
import { type AuthorityRing, authorityRing, type HeldAuthority } from './ring.ts';

/** A ring that follows the CAs on record. */
export type LiveRing = AuthorityRing & {
  /** Reads the CAs anew; what has not changed stays the same object. @throws StoreError */
  refresh(): Promise<void>;
};

/** `onLost` is told of a CA whose key cannot be opened here; the others go on. */
export function liveRing(
  deps: {
    readonly authorities: Pick<Authorities, 'find'>;
    readonly keys: AuthorityKeys;
    readonly now: () => number;
    readonly onLost: (authorityId: string, error: unknown) => void;
  },
  first: readonly HeldAuthority[],
): LiveRing {
  const signers = new Map(first.map(({ document, signer }) => [document.id, signer]));
  let held = new Map<string, HeldAuthority>();
  let ring = authorityRing(first, undefined, deps.now);
  let work: Promise<void> | undefined;
  let again: Promise<void> | undefined;

  const hold = async (
    document: AuthorityDocument,
    documents: readonly AuthorityDocument[],
  ): Promise<HeldAuthority | undefined> => {
    const before = held.get(document.id);
    if (before?.document.certificate === document.certificate) return { ...before, document };
    try {
      const signer = before?.signer ?? signers.get(document.id) ?? (await deps.keys.open(document));
      return signer === undefined ? undefined : withKey(document, signer, documents);
    } catch (error) {
      deps.onLost(document.id, error);
      return undefined;
    }
  };
  const read = async (): Promise<void> => {
    const documents = await readAuthorities(deps.authorities);
    const now = new Map<string, HeldAuthority>();
    for (const document of documents) {
      const authority = document.custody === 'elsewhere' ? undefined : await hold(document, documents);
      if (authority !== undefined) now.set(document.id, authority);
    }
    held = now;
    ring = authorityRing([...now.values()], documents, deps.now);
  };
  // a refresh that is asked for while one runs starts after it: what runs may have read too early
  const refresh = (): Promise<void> => {
    if (again !== undefined) return again;
    const before = work;
    if (before === undefined) {
      work = read().finally(() => {
        work = undefined;
      });
      return work;
    }
    again = before
      .catch(() => {})
      .then(() => {
        again = undefined;
        work = read().finally(() => {
          work = undefined;
        });
        return work;
      });
    return again;
  };
  return {
    byId: (id) => ring.byId(id),
    forAccount: (account, kind) => ring.forAccount(account, kind),
    forPlatform: (kind) => ring.forPlatform(kind),
    has: (kind) => ring.has(kind),
    missing: () => ring.missing(),
    troubles: () => ring.troubles(),
    refresh,
  };
}
