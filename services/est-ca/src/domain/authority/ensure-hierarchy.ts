import { type AuthorityKind, PLATFORM_ACCOUNT } from '@signet/contracts';
import { type Certificate, issuerFrom, parseCertificatePem, type Signer } from '@signet/pki';
import { isDuplicate } from '@signet/store';
import {
  type Authorities,
  type AuthorityDocument,
  AuthorityError,
  type AuthorityKeys,
  createdEvent,
  type KeyPlace,
} from './authority.ts';
import { certifyBelow, certifyRoot, newAuthorityDocument } from './certify.ts';
import { chainOf } from './chains.ts';
import type { SigningCa } from './issuer-registry.ts';
import type { PublicUrls } from './revocation-urls.ts';
import { revocationUrlsOf } from './revocation-urls.ts';

/** A CA that the platform makes for itself at its first start. */
export type PlannedAuthority = {
  readonly id: string;
  readonly kind: AuthorityKind;
  readonly parent: string;
  readonly commonName: string;
};

/** Parents first. How long each lives: `certify.ts`. */
export const hierarchy: readonly PlannedAuthority[] = [
  { id: 'root', kind: 'root', parent: 'root', commonName: 'Signet Root CA' },
  { id: 'factory', kind: 'factory', parent: 'root', commonName: 'Signet Factory CA' },
  { id: 'issuing', kind: 'issuing', parent: 'root', commonName: 'Signet Issuing CA' },
  { id: 'server', kind: 'server', parent: 'root', commonName: 'Signet Server CA' },
];

export type HierarchyDeps = {
  readonly authorities: Pick<Authorities, 'get' | 'insert'>;
  readonly keys: AuthorityKeys;
  readonly trustDomain: string;
  readonly urls: PublicUrls;
  readonly now: () => number;
};

/**
 * The platform's own CAs: found, or made at the first start. Each is a key and then a document, so that a start that
 * was cut off is taken up where it stopped; replicas that start together end with one PKI, since key and document each
 * can be made only once.
 * @throws AuthorityError `missing-key`, `foreign-key` where the keys are not those that the CAs were made with
 */
export async function ensureHierarchy(deps: HierarchyDeps): Promise<readonly SigningCa[]> {
  const held = new Map<string, SigningCa>();
  for (const planned of hierarchy) {
    const stored = await deps.authorities.get(planned.id);
    const authority = stored === undefined ? await make(deps, planned, held) : await hold(deps, stored);
    if (authority !== undefined) held.set(planned.id, authority);
  }
  return [...held.values()];
}

async function make(
  deps: HierarchyDeps,
  planned: PlannedAuthority,
  held: ReadonlyMap<string, SigningCa>,
): Promise<SigningCa> {
  const { signer, ...place } = await deps.keys.openOrCreate(planned.id);
  const certificate = await certify(deps, planned, signer, held.get(planned.parent));
  const document = documentOf(planned, certificate, place, deps.now());
  try {
    await deps.authorities.insert(document, [createdEvent(document)]);
    return { document, certificate, signer, issuer: issuerFrom(certificate) };
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const stored = await deps.authorities.get(planned.id);
    if (stored === undefined) throw error;
    return signingCa(stored, signer);
  }
}

function documentOf(
  { id, kind, parent }: PlannedAuthority,
  certificate: Certificate,
  place: KeyPlace,
  now: number,
): AuthorityDocument {
  return newAuthorityDocument({ id, kind, account: PLATFORM_ACCOUNT, certificate, parent, place, now });
}

/** A root's key may be taken away once it has signed what is below it; one that has a successor is not needed. */
async function hold(deps: HierarchyDeps, stored: AuthorityDocument): Promise<SigningCa | undefined> {
  const signer = await deps.keys.open(stored);
  if (signer !== undefined) return signingCa(stored, signer);
  if (stored.kind === 'root' || stored.successor !== undefined) return undefined;
  throw new AuthorityError(
    'missing-key',
    `keys: the key of CA "${stored.id}" is not in this process's key folder`,
  );
}

/**
 * `documents`: where the CAs above it are found.
 * @throws AuthorityError `foreign-key` where the key is not the one in the CA's certificate
 */
export function signingCa(
  document: AuthorityDocument,
  signer: Signer,
  documents: readonly AuthorityDocument[] = [],
): SigningCa {
  const certificate = parseCertificatePem(document.certificate);
  if (!signer.publicKey.equals(certificate.publicKey))
    throw new AuthorityError(
      'foreign-key',
      `keys: the key of CA "${document.id}" is not the one in its certificate; all replicas need the same key folder`,
    );
  const above = chainOf(document.id, documents).slice(1).map(parseCertificatePem);
  return { document, certificate, signer, issuer: issuerFrom(certificate, above) };
}

function certify(
  { trustDomain, urls, now }: HierarchyDeps,
  { id, kind, parent: parentId, commonName }: PlannedAuthority,
  signer: Signer,
  parent: SigningCa | undefined,
): Promise<Certificate> {
  const wanted = { kind, subject: { commonName, organization: trustDomain }, signer, now: now() };
  if (parentId === id) return certifyRoot(wanted);
  if (parent === undefined)
    throw new AuthorityError(
      'missing-key',
      `keys: CA "${id}" is signed by "${parentId}", whose key is not here`,
    );
  return certifyBelow(parent, { ...wanted, revocationUrls: revocationUrlsOf(urls, parentId) });
}
