import { type EventData, IssuedCertificate, Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** An issued operational certificate. Its id is its serial number, which is 128 random bits. */
export const CertificateRecord = IssuedCertificate.extend({
  id: z.string(),
  authorityId: z.string(),
  issuedAt: Time,
  revokedBy: z.string().optional(),
  /** When a hold was lifted; absent while it is revoked. */
  releasedAt: Time.optional(),
  releasedBy: z.string().optional(),
});
export type CertificateRecord = z.infer<typeof CertificateRecord>;

type CertificateIndex = 'device' | 'ending' | 'revoked' | 'released' | 'key';
/** Issued certificates as the store keeps them. */
export type Certificates = Collection<CertificateRecord, CertificateIndex>;

export const certificates: CollectionSpec<CertificateRecord, CertificateIndex> = {
  name: 'est-ca.certificates',
  schema: CertificateRecord,
  indexes: {
    device: { fields: ['account', 'deviceId', 'issuedAt'] },
    revoked: { fields: ['authorityId', 'revokedAt'] },
    released: { fields: ['authorityId', 'releasedAt'] },
    key: { fields: ['publicKeyHash'] },
    ending: { fields: ['notAfter'] },
  },
};

/** The facts that every certificate event carries. */
export function certificateFacts(record: CertificateRecord): Omit<EventData<'CERT_ISSUED'>, 'publicKey'> {
  return {
    deviceId: record.deviceId,
    serialNumber: record.serialNumber,
    issuerKeyId: record.issuerKeyId,
    fingerprint: record.fingerprint,
    publicKeyHash: record.publicKeyHash,
    profile: record.profile,
    notBefore: record.notBefore,
    notAfter: record.notAfter,
  };
}

/** Neither revoked nor past its end at `now` (Unix ms). */
export function isLive(record: CertificateRecord, now: number): boolean {
  return record.revokedAt === undefined && Date.parse(record.notAfter) > now;
}
