import { checkKey, createTemplate, decodePem, issue, parseCsr, prepare, verifyCsr } from '@signet/pki';
import type { HeldAuthority } from './ring.ts';

const DAY_MS = 86_400_000;

/**
 * Signs a certificate that may register devices and nothing else: its extended key usage says so, and no listener but
 * the bootstrap service takes it. Its CN is that by which Flotta's devices know one; `name` is in its serialNumber.
 * @throws PkiError for a CSR that is no good, `not-issuable` past the CA's end, `signer-failed`
 */
export async function signRegistrationCertificate(
  { issuer, signer }: HeldAuthority,
  wanted: {
    readonly account: string;
    readonly name: string;
    /** PKCS#10 in PEM. */
    readonly csr: string;
    readonly validityDays: number;
    readonly now: number;
  },
): Promise<string> {
  const csr = parseCsr(decodePem(wanted.csr, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
  checkKey(csr.key);
  verifyCsr(csr);
  const template = createTemplate({ kind: 'registration', issuer });
  const linted = prepare(template, {
    subject: { commonName: 'register', organization: wanted.account, serialNumber: wanted.name },
    spkiDer: csr.spkiDer,
    issuedAt: wanted.now,
    notAfter: wanted.now + wanted.validityDays * DAY_MS,
  });
  return (await issue(linted, signer)).pem();
}
