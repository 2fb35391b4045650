import { type CrlChange, type CrlSegment, encodeSegment } from '@signet/pki';
import type { CertifiedAuthority } from '../authority/chains.ts';
import { type CrlScope, isInScope } from '../authority/revocation-urls.ts';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { otherWork } from './crl-store.ts';

/** Records hold a whole certificate; more of them at once would keep the event loop. */
const PAGE = 200;

/** What a CRL says of a certificate: revoked, off the list again, or (undefined) nothing. */
export function changeOf(record: CertificateRecord): CrlChange | undefined {
  const { serialNumber, revokedAt, revocationReason, releasedAt } = record;
  const notAfter = Date.parse(record.notAfter);
  if (revokedAt !== undefined)
    return {
      serialNumber,
      notAfter,
      revokedAt: Date.parse(revokedAt),
      ...(revocationReason === undefined ? {} : { reason: revocationReason }),
    };
  if (releasedAt === undefined) return undefined;
  return { serialNumber, notAfter, revokedAt: Date.parse(releasedAt), reason: 'removeFromCRL' };
}

/** The same of a CA: one that is disabled is on hold. */
export function changeOfAuthority(authority: CertifiedAuthority): CrlChange | undefined {
  const { serialNumber, notAfter, status, since: revokedAt, reason } = authority;
  const change = { serialNumber, notAfter, revokedAt };
  switch (status) {
    case 'good':
      return undefined;
    case 'held':
      return { ...change, reason: 'certificateHold' };
    case 'released':
      return { ...change, reason: 'removeFromCRL' };
    case 'revoked':
      return reason === undefined ? change : { ...change, reason };
  }
}

/** Where revocations are on record: certificates of devices in the store, those of CAs with the CAs. */
export type RevocationRecords = {
  readonly certificates: Pick<Certificates, 'find' | 'get'>;
  /** What a CA certified other CAs by. */
  readonly certifiedBy?: (authorityId: string) => Promise<readonly CertifiedAuthority[]>;
};

/**
 * Packed entries of what was revoked, and what was released, at or after `since` (RFC 3339; default: ever); page by
 * page in the order of time, certificates that ended before `endedBefore` (Unix ms) left out.
 */
export async function* revocationsSince(
  { certificates, certifiedBy }: RevocationRecords,
  scope: CrlScope,
  { since, endedBefore }: { readonly since?: string; readonly endedBefore: number },
): AsyncGenerator<CrlSegment> {
  const concerns = ({ notAfter, serialNumber }: CrlChange) =>
    notAfter >= endedBefore && isInScope(scope, serialNumber);
  // partitions are of the certificates of devices: they say so (onlyContainsUserCerts)
  const authorities = scope.partition === undefined ? ((await certifiedBy?.(scope.authorityId)) ?? []) : [];
  const changed = authorities
    .filter((authority) => since === undefined || authority.since >= Date.parse(since))
    .map(changeOfAuthority)
    .filter((change) => change !== undefined)
    .filter(concerns);
  if (changed.length > 0) yield encodeSegment(changed);
  for (const index of ['revoked', 'released'] as const) {
    let cursor: string | undefined;
    do {
      const page = await certificates.find({
        index,
        equals: { authorityId: scope.authorityId },
        limit: PAGE,
        ...(since === undefined ? {} : { from: since }),
        ...(cursor === undefined ? {} : { cursor }),
      });
      const changes = page.items
        .map(changeOf)
        .filter((change) => change !== undefined)
        .filter(concerns);
      if (changes.length > 0) yield encodeSegment(changes);
      cursor = page.next;
      await otherWork();
    } while (cursor !== undefined);
  }
}

/** Records that are read at the same time. */
const AT_ONCE = 32;

/** Packed entries of what the records say of these serial numbers now. */
export async function changesOf(
  { certificates, certifiedBy }: RevocationRecords,
  scope: CrlScope,
  serials: readonly string[],
): Promise<CrlSegment> {
  if (serials.length === 0) return encodeSegment([]);
  const authorities = scope.partition === undefined ? ((await certifiedBy?.(scope.authorityId)) ?? []) : [];
  const bySerial = new Map(authorities.map((authority) => [authority.serialNumber, authority]));
  const read = async (serial: string): Promise<CrlChange | undefined> => {
    const authority = bySerial.get(serial);
    if (authority !== undefined) return changeOfAuthority(authority);
    const record = await certificates.get(serial);
    return record?.authorityId === scope.authorityId && isInScope(scope, serial)
      ? changeOf(record)
      : undefined;
  };
  const changes: CrlChange[] = [];
  const unique = [...new Set(serials)];
  for (let at = 0; at < unique.length; at += AT_ONCE) {
    const some = await Promise.all(unique.slice(at, at + AT_ONCE).map(read));
    changes.push(...some.filter((change) => change !== undefined));
    await otherWork();
  }
  return encodeSegment(changes);
}
