import { type Certificate, verifyCertificateSignature } from '../certificate.ts';
import { toLatin1 } from '../hex.ts';

/** A CA that listeners pin. */
export type PinnedAuthority = {
  readonly certificate: Certificate;
  readonly kind: 'root' | 'factory' | 'issuing' | 'server';
  /** Whose CA it is; the platform's account where tenants share it. */
  readonly account: string;
  readonly state: 'active' | 'disabled' | 'revoked';
};

/** A pinned CA with those CAs of the set that signed it. */
export type PinnedIssuer = PinnedAuthority & {
  /** Subject key id in lower-case hex; where the certificate has none, the hash of its public key. */
  readonly keyId: string;
  readonly parents: readonly PinnedIssuer[];
};

/** Pinned CAs, indexed by name and key id. Immutable: a change of CAs makes a new set. Made by {@link issuerSet}. */
export type IssuerSet = {
  readonly size: number;
  /**
   * CAs that may have issued this certificate: the issuer's name is theirs to the byte, and the key ids, where both
   * have one, are equal. Several where CAs share a name, or one key has several certificates.
   */
  candidates(certificate: Certificate): readonly PinnedIssuer[];
};

/** Pins these CAs. Signatures among them are verified here, once. */
export function issuerSet(authorities: readonly PinnedAuthority[]): IssuerSet {
  const byName = new Map<string, Named>();
  const made = authorities.map((authority) => {
    const { certificate } = authority;
    const parents: PinnedIssuer[] = [];
    const issuer = { ...authority, keyId: certificate.subjectKeyId ?? certificate.publicKeyHash, parents };
    const name = toLatin1(certificate.subjectDer);
    const named: Named = byName.get(name) ?? { all: [], byKeyId: new Map() };
    byName.set(name, named);
    named.all.push(issuer);
    const alike = named.byKeyId.get(certificate.subjectKeyId);
    if (alike === undefined) named.byKeyId.set(certificate.subjectKeyId, [issuer]);
    else alike.push(issuer);
    return issuer;
  });

  const candidates = (certificate: Certificate): readonly PinnedIssuer[] => {
    const named = byName.get(toLatin1(certificate.issuerDer));
    if (named === undefined) return [];
    const wanted = certificate.authorityKeyId;
    if (wanted === undefined) return named.all;
    const exact = named.byKeyId.get(wanted) ?? [];
    const without = named.byKeyId.get(undefined);
    return without === undefined ? exact : [...exact, ...without];
  };

  for (const issuer of made)
    issuer.parents.push(
      ...candidates(issuer.certificate).filter(
        (parent) => parent.keyId !== issuer.keyId && isSignedBy(issuer.certificate, parent.certificate),
      ),
    );
  return { size: made.length, candidates };
}

type Named = { readonly all: PinnedIssuer[]; readonly byKeyId: Map<string | undefined, PinnedIssuer[]> };

/** Whether `issuer` signed `certificate`; a key that cannot be loaded or used has signed nothing. */
export function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  try {
    return verifyCertificateSignature(certificate, issuer);
  } catch {
    return false;
  }
}
