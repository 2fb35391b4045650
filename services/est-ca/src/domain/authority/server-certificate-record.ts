import { SerialNumber, Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** A TLS certificate that a server CA gave a service of the platform: what OCSP answers by. The id is its serial number. */
export const ServerCertificateRecord = z.object({
  id: SerialNumber,
  authorityId: z.string(),
  service: z.string(),
  notAfter: Time,
});
export type ServerCertificateRecord = z.infer<typeof ServerCertificateRecord>;

export const serverCertificates = {
  name: 'est-ca.server-certificates',
  schema: ServerCertificateRecord,
  indexes: { ending: { fields: ['notAfter'] } },
} as const satisfies CollectionSpec<ServerCertificateRecord>;

export type ServerCertificates = Collection<ServerCertificateRecord, keyof typeof serverCertificates.indexes>;
