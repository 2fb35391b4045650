import { DEFAULT_TRUST_DOMAIN, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { Certificate } from '../certificate.ts';
import { toLatin1 } from '../hex.ts';
import { comparableName } from '../name-comparison.ts';

/** A CA that listeners pin. */
export type PinnedAuthority = {
  readonly certificate: Certificate;
  readonly kind: 'root' | 'factory' | 'issuing' | 'server';
  /** Whose CA it is; the platform's account where tenants share it. */
  readonly account: string;
  readonly state: 'active' | 'disabled' | 'revoked';
};

/** A pinned CA. */
export type PinnedIssuer = PinnedAuthority & {
  /** Subject key id in lower-case hex; where the certificate has none, the hash of its public key. */
  readonly keyId: string;
  /** CAs of the set that may have signed it, by name and key id: their signatures are verified when they are needed. */
  readonly possibleParents: () => readonly PinnedIssuer[];
};

/** Pinned CAs, indexed by name and key id. Immutable: a change of CAs makes a new set. Made by {@link issuerSet}. */
export type IssuerSet = {
  readonly size: number;
  /** Trust domain of the platform that pins them: no other's SPIFFE ids name its devices. */
  readonly trustDomain: string;
  /**
   * CAs that may have issued this certificate: the issuer's name is theirs (RFC 5280 §7.1), and the key ids, where both
   * have one, are equal. Several where CAs share a name, or one key has several certificates; accounts take turns, so
   * that no account's CAs stand before all of another's.
   */
  candidates(certificate: Certificate): readonly PinnedIssuer[];
};

/** Pins these CAs for a trust domain. Nothing is verified here: what it costs grows with their number alone. */
export function issuerSet(
  authorities: readonly PinnedAuthority[],
  trustDomain = DEFAULT_TRUST_DOMAIN,
): IssuerSet {
  const byName = new Map<string, Named>();
  /** The same by the bytes that CAs have their names in: most certificates repeat them. */
  const byBytes = new Map<string, Named>();
  for (const authority of authorities) {
    const { certificate } = authority;
    const issuer: PinnedIssuer = {
      ...authority,
      keyId: certificate.subjectKeyId ?? certificate.publicKeyHash,
      possibleParents: () => candidates(certificate),
    };
    const name = comparableName(certificate.subjectDer);
    const named = byName.get(name) ?? new Named();
    byName.set(name, named);
    byBytes.set(toLatin1(certificate.subjectDer), named);
    named.add(issuer);
  }
  const candidates = ({ issuerDer, authorityKeyId }: Certificate): readonly PinnedIssuer[] => {
    const named = byBytes.get(toLatin1(issuerDer)) ?? byName.get(comparableName(issuerDer));
    return named?.withKeyId(authorityKeyId) ?? [];
  };
  return { size: authorities.length, trustDomain, candidates };
}

/** CAs of one name. */
class Named {
  readonly #all: PinnedIssuer[] = [];
  readonly #byKeyId = new Map<string | undefined, PinnedIssuer[]>();
  /** Answers that were given, by key id. */
  readonly #answers = new Map<string | undefined, readonly PinnedIssuer[]>();

  add(issuer: PinnedIssuer): void {
    this.#all.push(issuer);
    const { subjectKeyId } = issuer.certificate;
    const alike = this.#byKeyId.get(subjectKeyId);
    if (alike === undefined) this.#byKeyId.set(subjectKeyId, [issuer]);
    else alike.push(issuer);
  }

  /** Those whose key id is this one or missing; all, where none is wanted. */
  withKeyId(wanted: string | undefined): readonly PinnedIssuer[] {
    // any id may be asked for, and only those that there are are kept
    const kept = this.#byKeyId.has(wanted) ? wanted : undefined;
    const name = wanted === undefined ? 'all' : (kept ?? 'none');
    const answer = this.#answers.get(name) ?? inTurn(this.#find(wanted));
    this.#answers.set(name, answer);
    return answer;
  }

  #find(wanted: string | undefined): readonly PinnedIssuer[] {
    if (wanted === undefined) return this.#all;
    return [...(this.#byKeyId.get(wanted) ?? []), ...(this.#byKeyId.get(undefined) ?? [])];
  }
}

/** The platform's first, then one of each account after another. */
function inTurn(issuers: readonly PinnedIssuer[]): readonly PinnedIssuer[] {
  const byAccount = Map.groupBy(issuers, ({ account }) => account);
  const own = byAccount.get(PLATFORM_ACCOUNT) ?? [];
  byAccount.delete(PLATFORM_ACCOUNT);
  const turns: PinnedIssuer[][] = [];
  for (const [, ofAccount] of byAccount)
    for (const [i, issuer] of ofAccount.entries()) {
      const turn = turns[i];
      if (turn === undefined) turns[i] = [issuer];
      else turn.push(issuer);
    }
  return [...own, ...turns.flat()];
}
