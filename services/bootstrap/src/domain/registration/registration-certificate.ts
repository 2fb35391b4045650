import { Fingerprint, RegistrationCertificate } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import type { z } from 'zod';

/** A registration certificate as it is kept; its id is its fingerprint. */
export const CertificateDocument = RegistrationCertificate.omit({ certificateId: true }).extend({
  id: Fingerprint,
});
export type CertificateDocument = z.infer<typeof CertificateDocument>;

export const registrationCertificates = {
  name: 'bootstrap.registration-certificates',
  schema: CertificateDocument,
  indexes: { byName: { fields: ['account', 'name'], unique: true } },
} as const satisfies CollectionSpec<CertificateDocument>;

/** Registration certificates as the store keeps them. */
export type RegistrationCertificates = Collection<CertificateDocument, 'byName'>;

export function certificateView({ id, ...rest }: CertificateDocument): RegistrationCertificate {
  return { certificateId: id, ...rest };
}
