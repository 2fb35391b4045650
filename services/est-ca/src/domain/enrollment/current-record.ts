import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { EnrollmentError } from './enrollment-error.ts';

/** The record of the certificate that is renewed. @throws EnrollmentError `unknown-device`, `revoked` */
export async function currentRecord(
  certificates: Pick<Certificates, 'get'>,
  { serialNumber, fingerprint }: { readonly serialNumber: string; readonly fingerprint: string },
): Promise<CertificateRecord> {
  const record = await certificates.get(serialNumber);
  if (record === undefined || record.fingerprint !== fingerprint)
    throw new EnrollmentError(
      'unknown-device',
      `certificate: ${serialNumber} is not on the record of issued certificates`,
    );
  requireInForce(record);
  return record;
}

/** @throws EnrollmentError `revoked` */
export function requireInForce(record: CertificateRecord | undefined): void {
  if (record?.revokedAt === undefined) return;
  throw new EnrollmentError(
    'revoked',
    `certificate: ${record.serialNumber} was revoked at ${record.revokedAt} (${record.revocationReason})`,
  );
}
