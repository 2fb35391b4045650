import { newEvent } from '@signet/contracts';
import { type CertificateRecord, type Certificates, certificateFacts } from './certificate.ts';

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
