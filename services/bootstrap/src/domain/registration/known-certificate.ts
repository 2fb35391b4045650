import type { CertificateDocument, RegistrationCertificates } from './registration-certificate.ts';
import { RegistrationError } from './registration-error.ts';

/**
 * The registration certificate that was shown, if it is on record and in force. Its signature and validity were checked
 * at admission.
 * @throws RegistrationError `unknown-registration-certificate`
 */
export async function requireActiveCertificate(
  certificates: Pick<RegistrationCertificates, 'get'>,
  shown: { readonly account: string; readonly fingerprint: string },
): Promise<CertificateDocument> {
  const known = await certificates.get(shown.fingerprint);
  if (known === undefined || known.account !== shown.account)
    throw new RegistrationError(
      'unknown-registration-certificate',
      'certificate: no registration certificate of this account',
    );
  if (known.revokedAt !== undefined)
    throw new RegistrationError(
      'unknown-registration-certificate',
      `certificate: registration certificate "${known.name}" was revoked at ${known.revokedAt}`,
    );
  return known;
}

/** @throws RegistrationError `bad-identity` where the certificate is bound to another device */
export function requireMayRegister(certificate: CertificateDocument, deviceId: string): void {
  if (certificate.deviceId === undefined || certificate.deviceId === deviceId) return;
  throw new RegistrationError(
    'bad-identity',
    `deviceId: registration certificate "${certificate.name}" registers only "${certificate.deviceId}"`,
    { field: 'deviceId' },
  );
}
