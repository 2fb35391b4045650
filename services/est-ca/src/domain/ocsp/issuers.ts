import { type CertId, issuerFinder } from '@signet/pki';
import type { AuthorityDocument } from '../authority/authority.ts';
import type { AuthorityRing, HeldAuthority } from '../authority/ring.ts';

/** The CA that a CertID names, if its certificates are on record and its key is at hand. */
export type FindIssuer = (certId: CertId) => HeldAuthority | undefined;

/** A new CA is answered for after this at the latest. */
const KNOWN_MS = 5000;

/** Issuing and server CAs and roots: theirs are the certificates that are on record. */
export function issuersOnRecord(deps: {
  readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
  readonly ring: Promise<Pick<AuthorityRing, 'byId'>>;
  readonly now: () => number;
}): () => Promise<FindIssuer> {
  let known: { readonly at: number; readonly find: Promise<FindIssuer> } | undefined;
  const read = async (): Promise<FindIssuer> => {
    const ring = await deps.ring;
    const documents = await deps.readAuthorities();
    const onRecord = documents.filter(({ kind }) => kind !== 'factory');
    return issuerFinder(
      onRecord.map(({ id }) => ring.byId(id)).filter((authority) => authority !== undefined),
    );
  };
  return () => {
    const at = deps.now();
    if (known !== undefined && at >= known.at && at - known.at < KNOWN_MS) return known.find;
    const fresh = { at, find: read() };
    known = fresh;
    fresh.find.catch(() => {
      if (known === fresh) known = undefined;
    });
    return fresh.find;
  };
}
