import type { Authority, DenyTarget } from '@signet/contracts';
import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { type Certificate, parseCertificatePem } from '@signet/pki';
import type { SourceRecord } from '../../domain/crl/source-record.ts';

/** What the certificates of one issuer are to this platform. */
export type CrlTargets = {
  /** Pinned CAs with the issuer's key: devices are known by them. */
  readonly authorityIds: readonly string[];
  /** What a listed serial number denies: the certificate, and, where it is one of our CAs, all that this CA signed. */
  targets(serialNumber: string): DenyTarget[];
};

/** Works out the targets of a source, of the CAs that the platform knows. */
export function crlTargets(source: SourceRecord, authorities: readonly Authority[]): CrlTargets {
  const issuer = parseCertificatePem(source.issuer);
  const own = authorities.filter(
    ({ account }) => source.account === PLATFORM_ACCOUNT || account === source.account,
  );
  const below = new Map<string, string>();
  for (const { certificate, subjectKeyId } of own) {
    const parsed = parseCertificatePem(certificate);
    if (isIssuedBy(parsed, issuer)) below.set(parsed.serialNumber, subjectKeyId);
  }
  return {
    authorityIds: own
      .filter(({ subjectKeyId }) => subjectKeyId === source.issuerKeyId)
      .map(({ authorityId }) => authorityId),
    targets(serialNumber) {
      const target: DenyTarget = { kind: 'certificate', issuerKeyId: source.issuerKeyId, serialNumber };
      const subjectKeyId = below.get(serialNumber);
      return subjectKeyId === undefined ? [target] : [target, { kind: 'ca', subjectKeyId }];
    },
  };
}

function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  return (
    Buffer.compare(certificate.issuerDer, issuer.subjectDer) === 0 &&
    Buffer.compare(certificate.subjectDer, issuer.subjectDer) !== 0
  );
}
