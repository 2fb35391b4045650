import type { AuthorityDetails, describeAuthorities, OperationOutput } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { facts } from './output.ts';

export type OwnAuthorities = OperationOutput<typeof describeAuthorities>;

/** Roots with what is below them, one a line. */
export function treeOf({ authorities, requests, shared }: Omit<OwnAuthorities, 'nextRoot'>): string {
  const lines: string[] = [];
  const place = (authority: AuthorityDetails, depth: number): void => {
    lines.push(`${'  '.repeat(depth)}${lineOf(authority)}`);
    for (const below of authorities)
      if (below.parent === authority.authorityId && below !== authority) place(below, depth + 1);
  };
  const ids = new Set(authorities.map(({ authorityId }) => authorityId));
  for (const authority of authorities)
    if (authority.parent === authority.authorityId || !ids.has(authority.parent)) place(authority, 0);
  for (const { requestId, kind } of requests) lines.push(`${requestId}  ${kind}  waits for its certificate`);
  for (const authority of shared) lines.push(`${lineOf(authority)}  of the platform`);
  return lines.join('\n');
}

function lineOf({ authorityId, kind, state, custody, notAfter }: AuthorityDetails): string {
  const key = custody === 'elsewhere' ? 'key with its owner' : `key in ${custody}`;
  return `${authorityId}  ${kind}  ${state}  ${key}  until ${notAfter.slice(0, 10)}`;
}

/** What is in the certificate of a CA. */
export function describeAuthority(authority: AuthorityDetails): string {
  const certificate = parseCertificatePem(authority.certificate);
  const { pathLen } = certificate.basicConstraints ?? {};
  return facts({
    ca: authority.authorityId,
    kind: authority.kind,
    state: authority.reason === undefined ? authority.state : `${authority.state} (${authority.reason})`,
    subject: nameText(certificate.subject),
    issuer: nameText(certificate.issuer),
    'serial number': certificate.serialNumber,
    'not before': new Date(certificate.notBefore).toISOString(),
    'not after': new Date(certificate.notAfter).toISOString(),
    'CAs below': pathLen ?? 'any number',
    'key usage': [...(certificate.keyUsage ?? [])].join(', '),
    'subject key id': certificate.subjectKeyId,
    'authority key id': certificate.authorityKeyId,
    fingerprint: certificate.fingerprint,
    key: authority.custody,
    'made by': authority.createdBy,
    'succeeded by': authority.successor,
  });
}

function nameText({ commonName, organization }: { commonName?: string; organization?: string }): string {
  return [organization === undefined ? undefined : `O=${organization}`, `CN=${commonName ?? ''}`]
    .filter((part) => part !== undefined)
    .join(', ');
}
