import { isIP } from 'node:net';
import { SerialNumber, Time } from '@signet/contracts';
import {
  type Certificate,
  checkKey,
  createTemplate,
  decodePem,
  issue,
  parseCsr,
  prepare,
  verifyCsr,
} from '@signet/pki';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';
import type { SigningCa } from './issuer-registry.ts';
import type { PublicUrls } from './revocation-urls.ts';
import { revocationUrlsOf } from './revocation-urls.ts';

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

/**
 * Signs the TLS certificate of one of the platform's own services, and records it before it is given out: it says where
 * clients that check revocation ask for it. `names` are DNS names and IP addresses.
 * @throws PkiError where the CSR or a name cannot be used
 */
export async function signServerCertificate(
  deps: { readonly urls: PublicUrls; readonly serverCertificates: Pick<ServerCertificates, 'insert'> },
  authority: SigningCa,
  request: {
    readonly service: string;
    /** PKCS#10 in PEM. */
    readonly csr: string;
    readonly names: readonly string[];
    readonly validityDays: number;
    readonly now: number;
  },
): Promise<Certificate> {
  const csr = parseCsr(decodePem(request.csr, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
  checkKey(csr.key);
  verifyCsr(csr);
  const names = [...new Set(request.names)];
  const { id: authorityId } = authority.document;
  const revocationUrls = revocationUrlsOf(deps.urls, authorityId);
  const template = createTemplate({ kind: 'server', issuer: authority.issuer, ...revocationUrls });
  const linted = prepare(template, {
    subject: { commonName: request.service },
    spkiDer: csr.spkiDer,
    sans: {
      dns: names.filter((name) => isIP(name) === 0),
      ips: names.filter((name) => isIP(name) !== 0),
    },
    issuedAt: request.now,
    notAfter: Math.min(request.now + request.validityDays * 86_400_000, authority.certificate.notAfter),
  });
  const certificate = await issue(linted, authority.signer);
  await deps.serverCertificates.insert({
    id: certificate.serialNumber,
    authorityId,
    service: request.service,
    notAfter: new Date(certificate.notAfter).toISOString(),
  });
  return certificate;
}
