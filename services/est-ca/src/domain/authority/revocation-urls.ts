import type { TemplateRequest } from '@signet/pki';

/** Those certificates of a CA whose serial number, divided by `of`, leaves `index`. */
export type CrlPartition = { readonly of: number; readonly index: number };

/** What one line of CRLs speaks of: all certificates of a CA, or one partition of them. */
export type CrlScope = {
  readonly id: string;
  readonly authorityId: string;
  readonly partition?: CrlPartition;
};

/** All certificates of a CA. */
export const wholeScope = (authorityId: string): CrlScope => ({ id: authorityId, authorityId });

/** The scope that is named `<CA>` or `<CA>.<of>.<index>`; undefined for another name. Ids of CAs hold no dot. */
export function parseScope(id: string): CrlScope | undefined {
  const [, authorityId = '', of, index = ''] = /^([A-Za-z0-9_-]+)(?:\.(\d{1,5})\.(\d{1,5}))?$/.exec(id) ?? [];
  if (authorityId === '') return undefined;
  if (of === undefined) return wholeScope(authorityId);
  const scope = partitionScope(authorityId, { of: Number(of), index: Number(index) });
  return scope.id === id && Number(index) < Number(of) && Number(of) > 1 ? scope : undefined;
}

function partitionScope(authorityId: string, partition: CrlPartition): CrlScope {
  return { id: `${authorityId}.${partition.of}.${partition.index}`, authorityId, partition };
}

/** The scopes of a CA whose certificates are split into so many partitions; 1: not split. */
export function scopesOf(authorityId: string, partitions: number): readonly CrlScope[] {
  if (partitions === 1) return [wholeScope(authorityId)];
  const indexes = Array.from({ length: partitions }, (_, index) => index);
  return [
    wholeScope(authorityId),
    ...indexes.map((index) => partitionScope(authorityId, { of: partitions, index })),
  ];
}

/** The scope that the certificate of this serial number names in its distribution point. */
export function scopeOf(authorityId: string, serialNumber: string, partitions: number): CrlScope {
  if (partitions === 1) return wholeScope(authorityId);
  return partitionScope(authorityId, { of: partitions, index: remainder(serialNumber, partitions) });
}

/** Whether a certificate of the scope's CA is in it. */
export function isInScope({ partition }: CrlScope, serialNumber: string): boolean {
  return partition === undefined || remainder(serialNumber, partition.of) === partition.index;
}

/** `hex` modulo `divisor`, digit by digit. */
function remainder(hex: string, divisor: number): number {
  let rest = 0;
  for (const digit of hex) rest = (rest * 16 + Number.parseInt(digit, 16)) % divisor;
  return rest;
}

/** URLs that go into certificates and CRLs. */
export type PublicUrls = {
  crlOf(scopeId: string): string;
  deltaOf(scopeId: string): string;
  certificateOf(authorityId: string): string;
  readonly ocsp: string;
};

/** The addresses below the base URL of the service's plain HTTP port. */
export function publicUrls(base: string): PublicUrls {
  const root = base.replace(/\/+$/, '');
  return {
    crlOf: (scopeId) => `${root}/crl/${scopeId}.crl`,
    deltaOf: (scopeId) => `${root}/crl/${scopeId}.delta.crl`,
    certificateOf: (authorityId) => `${root}/ca/${authorityId}.cer`,
    ocsp: `${root}/ocsp`,
  };
}

/** Where a certificate says that its issuer's CRL, certificate and OCSP are (RFC 5280 §4.2.1.13, §4.2.2.1). */
export type RevocationUrls = Pick<TemplateRequest, 'crlUrls' | 'caIssuerUrls' | 'ocspUrls'>;

/** Of what a CA signs whose key is at hand, and which therefore answers OCSP too. */
export function revocationUrlsOf(urls: PublicUrls, issuerId: string): RevocationUrls {
  return {
    crlUrls: [urls.crlOf(issuerId)],
    caIssuerUrls: [urls.certificateOf(issuerId)],
    ocspUrls: [urls.ocsp],
  };
}
