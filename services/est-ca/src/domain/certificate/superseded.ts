import type { CertificateRecord } from './certificate.ts';

/**
 * Which certificates a promoted key supersedes: those of other keys that were issued before it. One issued later
 * belongs to a key announced since, and stays; so does a renewal that kept the promoted key.
 */
export function supersededBy(promoted: {
  readonly serialNumber: string;
  readonly publicKeyHash: string;
  /** When the promoted certificate was issued, or, where it is not on record, when its key was promoted. */
  readonly issuedAt: string;
}): (record: CertificateRecord) => boolean {
  return (record) =>
    record.serialNumber !== promoted.serialNumber &&
    record.publicKeyHash !== promoted.publicKeyHash &&
    record.issuedAt <= promoted.issuedAt;
}

/**
 * Which certificates one that the device was seen with supersedes by itself: those of the same key that were issued
 * before it. One of another key gives way once the seen one's is promoted.
 */
export function renewedBy(seen: CertificateRecord): (record: CertificateRecord) => boolean {
  return (record) =>
    record.serialNumber !== seen.serialNumber &&
    record.publicKeyHash === seen.publicKeyHash &&
    record.issuedAt <= seen.issuedAt;
}
