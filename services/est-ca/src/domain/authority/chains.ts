import {
  type Authority,
  type AuthorityDetails,
  PLATFORM_ACCOUNT,
  type RevocationReason,
} from '@signet/contracts';
import { type Certificate, parseCertificatePem } from '@signet/pki';
import type { Authorities, AuthorityDocument } from './authority.ts';
import type { PublicUrls } from './revocation-urls.ts';

/** All CAs, by id. */
export async function readAuthorities(
  authorities: Pick<Authorities, 'find'>,
): Promise<readonly AuthorityDocument[]> {
  const documents: AuthorityDocument[] = [];
  let cursor: string | undefined;
  do {
    const page = await authorities.find({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    documents.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return documents;
}

/** A CA as listeners and operators see it. */
export function describeAuthority(document: AuthorityDocument): Authority {
  const { id, kind, account, state, certificate, subjectKeyId, notAfter } = document;
  const { firstContact, replaceUpTo, custody } = document;
  return {
    ...{ authorityId: id, kind, account, state, certificate, subjectKeyId, notAfter },
    ...(firstContact === undefined ? {} : { firstContact }),
    ...(custody === 'elsewhere' ? { keyElsewhere: true } : {}),
    ...(replaceUpTo === undefined ? {} : { replaceUpTo }),
  };
}

/** A CA as its owner sees it. `urls`: where what it signs says that its CRL and its certificate are. */
export function describeDetails(
  document: AuthorityDocument,
  urls: Pick<PublicUrls, 'crlOf' | 'certificateOf'>,
): AuthorityDetails {
  const certificate = parseCertificatePem(document.certificate);
  const {
    parent,
    custody = 'file',
    createdAt,
    createdBy,
    reason,
    replacement,
    possession,
    fallBack,
  } = document;
  const { successor } = document;
  return {
    ...describeAuthority(document),
    name: certificate.subject.commonName ?? document.id,
    parent,
    custody,
    fingerprint: certificate.fingerprint,
    crlUrl: urls.crlOf(document.id),
    certificateUrl: urls.certificateOf(document.id),
    createdAt,
    ...(createdBy === undefined ? {} : { createdBy }),
    ...(reason === undefined ? {} : { reason }),
    ...(possession === undefined ? {} : { possession }),
    ...(replacement === undefined ? {} : { replacement }),
    ...(fallBack === undefined ? {} : { fallBack }),
    ...(successor === undefined ? {} : { successor }),
  };
}

/** All CAs of one account. */
export async function authoritiesOf(
  authorities: Pick<Authorities, 'find'>,
  account: string,
): Promise<readonly AuthorityDocument[]> {
  const documents: AuthorityDocument[] = [];
  let cursor: string | undefined;
  do {
    const page = await authorities.find({
      index: 'kind',
      equals: { account },
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    documents.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return documents;
}

/** PEM of a CA and of those above it, the root last. */
export function chainOf(id: string, documents: readonly AuthorityDocument[]): readonly string[] {
  const byId = new Map(documents.map((document) => [document.id, document]));
  const chain = new Set<AuthorityDocument>();
  for (let next = byId.get(id); next !== undefined && !chain.has(next); next = byId.get(next.parent))
    chain.add(next);
  return [...chain].map(({ certificate }) => certificate);
}

/** PEM of the roots in force that devices of an account are given to trust. */
export function trustAnchors(documents: readonly AuthorityDocument[], account: string): readonly string[] {
  return ofAccount(documents, account)
    .filter(({ kind, state }) => kind === 'root' && state === 'active')
    .map(({ certificate }) => certificate);
}

/** DER of every CA in force that devices of an account may meet; without an account, of the platform's (RFC 7030 §4.1.3). */
export function caCertificates(
  documents: readonly AuthorityDocument[],
  account: string | undefined,
  now: number,
): readonly Uint8Array[] {
  return ofAccount(documents, account)
    .filter(({ state, notAfter }) => state === 'active' && Date.parse(notAfter) > now)
    .flatMap((document) => [document.certificate, ...crossOf(document)])
    .map((certificate) => parseCertificatePem(certificate).der);
}

/** While a root is replaced, both ways between the old one and the new one are given too (RFC 7030 §4.1.3). */
function crossOf({ replacement, crossCertificates }: AuthorityDocument): readonly string[] {
  if (crossCertificates === undefined || replacement?.finishedAt !== undefined) return [];
  return [crossCertificates.oldWithNew, crossCertificates.newWithOld];
}

/**
 * PEM of what a server sends after its own certificate: a chain that whoever has either root of a replacement verifies,
 * by openssl, Java, Go and GnuTLS alike. Below a root that replaced another that is its CA and the new root as the old
 * one certified it. Go and GnuTLS count that one against the old root's pathLen: where there is no room for it, the CA
 * goes as the old root certified it, and the old root as the new one did. Each certificate is certified by the next:
 * Java and GnuTLS look no further.
 */
export function serverChain(
  document: Pick<AuthorityDocument, 'certificate' | 'parent' | 'formerCertificates'>,
  documents: readonly AuthorityDocument[],
  now: number,
): readonly string[] {
  const { certificate, parent, formerCertificates = [] } = document;
  const [nearest, ...older] = waysFromOlder(parent, documents);
  if (nearest === undefined) {
    const next = documents.find(
      ({ state, replacement }) => state === 'active' && replacement?.replaces === parent,
    );
    return [
      certificate,
      ...(next?.crossCertificates === undefined ? [] : [next.crossCertificates.oldWithNew]),
    ];
  }
  const crosses = older.map(({ newWithOld }) => newWithOld);
  const former = formerCertificates.findLast((one) => one.parent === nearest.old.id)?.certificate;
  const isGood = former !== undefined && parseCertificatePem(former).notAfter > now;
  if (isGood && !hasRoom(nearest.old, CAS_BY_CROSS)) return [former, nearest.oldWithNew, ...crosses];
  return [certificate, nearest.newWithOld, ...crosses];
}

/** CAs between an old root and a leaf that goes by the new root: that one as the old one certified it, and its CA. */
const CAS_BY_CROSS = 2;

function hasRoom({ certificate }: AuthorityDocument, below: number): boolean {
  return (parseCertificatePem(certificate).basicConstraints?.pathLen ?? below) >= below;
}

/** How whoever has an earlier root gets to this one, the latest first; no further than to one that is revoked. */
function waysFromOlder(id: string, documents: readonly AuthorityDocument[]) {
  const ways: { old: AuthorityDocument; oldWithNew: string; newWithOld: string }[] = [];
  for (let root = documents.find((one) => one.id === id); root !== undefined; ) {
    const { replacement, crossCertificates } = root;
    const old = documents.find((one) => one.id === replacement?.replaces);
    const isWay = old !== undefined && old.state !== 'revoked' && crossCertificates !== undefined;
    if (!isWay || ways.some((way) => way.old === old)) break;
    ways.push({ old, ...crossCertificates });
    root = old;
  }
  return ways;
}

function ofAccount(documents: readonly AuthorityDocument[], account: string | undefined) {
  return documents.filter(
    (document) => document.account === PLATFORM_ACCOUNT || document.account === account,
  );
}

/** A certificate of a CA, and how it stands. Times in Unix milliseconds. */
export type CertifiedAuthority = {
  readonly authorityId: string;
  readonly serialNumber: string;
  readonly notAfter: number;
  /** `held`: the CA is disabled and may come back; `released`: it came back. */
  readonly status: 'good' | 'held' | 'released' | 'revoked';
  /** When it became so; for `good` when the CA was put on record. */
  readonly since: number;
  /** Where it was revoked for one that CRLs know. */
  readonly reason?: RevocationReason;
};

/**
 * Every certificate by which `issuerId` certified another CA: those in force, those that wait for the cut-over to a new
 * root, and earlier ones, which whoever has them would still go by. The two roots of a replacement count as each other's
 * only where one is revoked: a root that is merely replaced stays a way to the new one.
 */
export function certifiedBy(
  issuerId: string,
  documents: readonly AuthorityDocument[],
): readonly CertifiedAuthority[] {
  return documents.flatMap((document) =>
    certificatesBy(issuerId, document, documents).map((certificate) => describe(document, certificate)),
  );
}

function certificatesBy(
  issuerId: string,
  document: AuthorityDocument,
  documents: readonly AuthorityDocument[],
): readonly Certificate[] {
  const { id, parent, certificate, nextCertificate, formerCertificates = [] } = document;
  if (document.kind === 'root') return crossCertificates(issuerId, document, documents);
  const found = formerCertificates
    .filter((former) => former.parent === issuerId)
    .map((one) => one.certificate);
  if (parent === issuerId && id !== issuerId) found.push(certificate);
  if (nextCertificate !== undefined && isReplacing(issuerId, parent, documents)) found.push(nextCertificate);
  return found.map(parseCertificatePem);
}

function crossCertificates(
  issuerId: string,
  root: AuthorityDocument,
  documents: readonly AuthorityDocument[],
): readonly Certificate[] {
  if (root.state !== 'revoked') return [];
  const found: string[] = [];
  if (root.replacement?.replaces === issuerId && root.crossCertificates !== undefined)
    found.push(root.crossCertificates.newWithOld);
  const next = documents.find(({ id }) => id === issuerId);
  if (next?.replacement?.replaces === root.id && next.crossCertificates !== undefined)
    found.push(next.crossCertificates.oldWithNew);
  return found.map(parseCertificatePem);
}

function isReplacing(id: string, replaced: string, documents: readonly AuthorityDocument[]): boolean {
  return documents.find((document) => document.id === id)?.replacement?.replaces === replaced;
}

function describe(document: AuthorityDocument, certificate: Certificate): CertifiedAuthority {
  const { id, state, stateSince, createdAt, revocationReason } = document;
  const status =
    state === 'revoked'
      ? 'revoked'
      : state === 'disabled'
        ? 'held'
        : stateSince === undefined
          ? 'good'
          : 'released';
  return {
    authorityId: id,
    serialNumber: certificate.serialNumber,
    notAfter: certificate.notAfter,
    status,
    since: Date.parse(stateSince ?? createdAt),
    ...(status === 'revoked' && revocationReason !== undefined ? { reason: revocationReason } : {}),
  };
}
