import type { RevocationReason } from '@signet/contracts';
import { type Certificate, parseCertificatePem } from '@signet/pki';
import type { AuthorityDocument } from './authority.ts';

/** A certificate of a CA, and how it stands. Times in Unix milliseconds. */
export type CertifiedAuthority = {
  readonly authorityId: string;
  readonly serialNumber: string;
  readonly notAfter: number;
  /** `held`: the CA is disabled and may come back; `released`: it came back. */
  readonly standing: 'good' | 'held' | 'released' | 'revoked';
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
  const standing =
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
    standing,
    since: Date.parse(stateSince ?? createdAt),
    ...(standing === 'revoked' && revocationReason !== undefined ? { reason: revocationReason } : {}),
  };
}
