import { type EventData, Fingerprint, IssuedCertificate, Time } from '@signet/contracts';
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
  /** By what the device came in; a renewal keeps it. Absent in what was issued before it was kept. */
  enteredBy: z.enum(['handoff', 'registration', 'certificate', 'secret']).optional(),
  /** Fingerprint of the device's first bootstrap certificate, where one vouched for it; a renewal keeps it. */
  identity: Fingerprint.optional(),
  /** Counts the certificates of its device that renew none: unique, so that of two at a time one is recorded. */
  enrolment: z.number().int().min(1).optional(),
});
export type CertificateRecord = z.infer<typeof CertificateRecord>;

type CertificateIndex = 'device' | 'enrolment' | 'ending' | 'revoked' | 'released' | 'key';
/** Issued certificates as the store keeps them. */
export type Certificates = Collection<CertificateRecord, CertificateIndex>;

export const certificates: CollectionSpec<CertificateRecord, CertificateIndex> = {
  name: 'est-ca.certificates',
  schema: CertificateRecord,
  indexes: {
    device: { fields: ['account', 'deviceId', 'issuedAt'] },
    enrolment: { fields: ['account', 'deviceId', 'enrolment'], unique: true },
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
