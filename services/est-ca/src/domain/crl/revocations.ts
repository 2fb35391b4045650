import { type CrlChange, type CrlSegment, encodeSegment } from '@signet/pki';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { otherWork } from './crl-files.ts';
import { type CrlScope, isInScope } from './crl-scope.ts';

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

/**
 * Packed entries of what was revoked, and what was released, at or after `since` (RFC 3339; default: ever); page by
 * page in the order of time, certificates that ended before `endedBefore` (Unix ms) left out.
 */
export async function* revocationsSince(
  certificates: Pick<Certificates, 'find'>,
  scope: CrlScope,
  { since, endedBefore }: { readonly since?: string; readonly endedBefore: number },
): AsyncGenerator<CrlSegment> {
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
        .filter(({ notAfter, serialNumber }) => notAfter >= endedBefore && isInScope(scope, serialNumber));
      if (changes.length > 0) yield encodeSegment(changes);
      cursor = page.next;
      await otherWork();
    } while (cursor !== undefined);
  }
}
