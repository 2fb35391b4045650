import { newEvent, type RevocationReason } from '@signet/contracts';
import type { Change } from '@signet/store';
import { type CertificateRecord, type Certificates, certificateFacts, isLive } from './certificate.ts';
import { isOnHold } from './release.ts';

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
