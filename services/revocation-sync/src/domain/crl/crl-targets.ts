import type { Authority, DenyTarget } from '@signet/contracts';
import { PLATFORM_ACCOUNT } from '@signet/contracts';
import {
  type Certificate,
  isSameName,
  PkiError,
  parseCertificatePem,
  verifyCertificateSignature,
} from '@signet/pki';
import type { SourceRecord } from './source-record.ts';

/** What the certificates of one issuer are to this platform. */
export type CrlTargets = {
  /** Pinned factory CAs with the issuer's key: devices are known by what they made. */
  readonly factories: readonly string[];
  /** Where it is on record which operational certificates the issuer gave to whom; `none`: it gives none. */
  readonly issuing: 'none' | 'here' | 'elsewhere';
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
  const same = own.filter(({ subjectKeyId }) => subjectKeyId === source.issuerKeyId);
  const issuing = same.find(({ kind }) => kind === 'issuing');
  return {
    factories: factoriesOf(source, same, authorities),
    issuing: issuing === undefined ? 'none' : issuing.keyElsewhere === true ? 'elsewhere' : 'here',
    targets(serialNumber) {
      const target: DenyTarget = { kind: 'certificate', issuerKeyId: source.issuerKeyId, serialNumber };
      const subjectKeyId = below.get(serialNumber);
      return subjectKeyId === undefined ? [target] : [target, { kind: 'ca', subjectKeyId }];
    },
  };
}

/** Devices are on record by one of the pins of their factory CA, be it another account's: a CRL is the CA's own word. */
function factoriesOf(
  { issuerKeyId }: SourceRecord,
  same: readonly Authority[],
  authorities: readonly Authority[],
): readonly string[] {
  if (!same.some(({ kind }) => kind === 'factory')) return [];
  return authorities
    .filter(({ kind, subjectKeyId }) => kind === 'factory' && subjectKeyId === issuerKeyId)
    .map(({ authorityId }) => authorityId);
}

/** Names are anybody's to give: a CA of the account that merely bears the issuer's name is none that the issuer signed. */
function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  if (!isSameName(certificate.issuerDer, issuer.subjectDer)) return false;
  if (isSameName(certificate.subjectDer, issuer.subjectDer)) return false;
  try {
    return verifyCertificateSignature(certificate, issuer);
  } catch (error) {
    if (error instanceof PkiError) return false;
    throw error;
  }
}
