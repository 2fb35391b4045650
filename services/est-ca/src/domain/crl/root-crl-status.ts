import { parseCrl } from '@signet/pki';
import type { AuthorityDocument } from '../authority/authority.ts';
import { certifiedBy } from '../authority/chains.ts';
import { latestUpload, mustList, type UploadedCrls } from './root-crl.ts';

/** So long before its end the keeper of a root is asked for the next CRL. */
const SOON_MS = 14 * 86_400_000;

/**
 * What the keepers of roots have to sign: a CRL that is over or soon will be, a revoked CA that none lists. A root below
 * which nothing was ever revoked needs none.
 */
export async function rootCrlsDue(
  uploads: Pick<UploadedCrls, 'find'>,
  documents: readonly AuthorityDocument[],
  now: number,
): Promise<readonly string[]> {
  const due: string[] = [];
  for (const { id, kind, state, custody } of documents) {
    if (kind !== 'root' || state === 'revoked' || custody !== 'elsewhere') continue;
    const current = await latestUpload(uploads, id);
    const revoked = mustList(certifiedBy(id, documents), now);
    const listed = new Set(
      current === undefined
        ? []
        : parseCrl(Buffer.from(current.der, 'base64')).entries.map(({ serialNumber }) => serialNumber),
    );
    const missing = revoked.filter(({ serialNumber }) => !listed.has(serialNumber));
    if (missing.length > 0)
      due.push(
        `the CRL of root "${id}" does not list CA ${missing.map(({ authorityId }) => authorityId).join(', ')}`,
      );
    else if (current !== undefined && Date.parse(current.nextUpdate) < now + SOON_MS)
      due.push(`the CRL of root "${id}" ends at ${current.nextUpdate}`);
  }
  return due;
}
