import { newEvent, type RevocationReason } from '@signet/contracts';
import type { Change } from '@signet/store';
import { type CertificateRecord, type Certificates, certificateFacts, isLive } from './certificate.ts';

/** Why, by whom and when (Unix ms) a certificate is revoked. */
export type Revocation = {
  readonly reason: RevocationReason;
  readonly by: string;
  readonly at: number;
};

/**
 * The revoked record with its `CERT_REVOKED`, or undefined where it is revoked already: the first reason stands, but for
 * a hold, which a revocation for good takes the place of.
 */
export function revoked(
  record: CertificateRecord,
  revocation: Revocation,
): Change<CertificateRecord> | undefined {
  const endsHold = isOnHold(record) && revocation.reason !== 'certificateHold';
  if (record.revokedAt !== undefined && !endsHold) return undefined;
  const { releasedAt: _releasedAt, releasedBy: _releasedBy, ...rest } = record;
  const document: CertificateRecord = {
    ...rest,
    revokedAt: new Date(revocation.at).toISOString(),
    revocationReason: revocation.reason,
    revokedBy: revocation.by,
  };
  const event = newEvent('CERT_REVOKED', {
    account: record.account,
    subject: record.deviceId,
    time: revocation.at,
    data: { ...certificateFacts(record), reason: revocation.reason, by: revocation.by },
  });
  return { document, events: [event] };
}

/** @returns whether this call revoked it */
export async function revokeCertificate(
  certificates: Pick<Certificates, 'update'>,
  serialNumber: string,
  revocation: Revocation,
): Promise<boolean> {
  let changed = false;
  await certificates.update(serialNumber, (current) => {
    const change = revoked(current, revocation);
    changed = change !== undefined;
    return change;
  });
  return changed;
}

/** Revokes every live certificate of a device that `which` picks (default: all). @returns their serial numbers */
export async function revokeDevice(
  certificates: Certificates,
  device: { readonly account: string; readonly deviceId: string },
  revocation: Revocation,
  which: (record: CertificateRecord) => boolean = () => true,
): Promise<readonly string[]> {
  const serials: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await certificates.find({
      index: 'device',
      equals: { account: device.account, deviceId: device.deviceId },
      limit: 100,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const record of page.items) {
      if (!(isLive(record, revocation.at) || isOnHold(record)) || !which(record)) continue;
      if (await revokeCertificate(certificates, record.id, revocation)) serials.push(record.serialNumber);
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return serials;
}

/** Whether a certificate is revoked only until further notice (RFC 5280 §5.3.1). */
export function isOnHold({ revokedAt, revocationReason }: CertificateRecord): boolean {
  return revokedAt !== undefined && revocationReason === 'certificateHold';
}

/** Lifts a hold; a certificate that is not revoked stays as it is, one that is revoked for good stays revoked. */
export async function releaseCertificate(
  certificates: Pick<Certificates, 'update'>,
  serialNumber: string,
  release: { readonly by: string; readonly at: number },
): Promise<'released' | 'not-revoked' | 'not-on-hold'> {
  let outcome: 'released' | 'not-revoked' | 'not-on-hold' = 'not-revoked';
  await certificates.update(serialNumber, (current) => {
    outcome =
      current.revokedAt === undefined ? 'not-revoked' : isOnHold(current) ? 'released' : 'not-on-hold';
    if (outcome !== 'released') return undefined;
    const { revokedAt: _at, revocationReason: _reason, revokedBy: _by, ...record } = current;
    const released = newEvent('CERT_RELEASED', {
      account: record.account,
      subject: record.deviceId,
      time: release.at,
      data: { ...certificateFacts(current), by: release.by },
    });
    const releasedAt = new Date(release.at).toISOString();
    return { document: { ...record, releasedAt, releasedBy: release.by }, events: [released] };
  });
  return outcome;
}

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
