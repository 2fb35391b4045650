import { isIP } from 'node:net';
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
import type { HeldAuthority } from './ring.ts';

/**
 * Signs the TLS certificate of one of the platform's own services. `names` are DNS names and IP addresses.
 * @throws PkiError where the CSR or a name cannot be used
 */
export async function signServerCertificate(
  authority: HeldAuthority,
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
  const linted = prepare(createTemplate({ kind: 'server', issuer: authority.certificate }), {
    subject: { commonName: request.service },
    spkiDer: csr.spkiDer,
    sans: {
      dns: names.filter((name) => isIP(name) === 0),
      ips: names.filter((name) => isIP(name) !== 0),
    },
    issuedAt: request.now,
    notAfter: Math.min(request.now + request.validityDays * 86_400_000, authority.certificate.notAfter),
  });
  return issue(linted, authority.signer);
}
