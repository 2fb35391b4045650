import type { RegistrationCertificate } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { StoreError } from '@signet/store';
import type { CertificateDocument, RegistrationCertificates } from '../../collections.ts';
import { RegistrationError } from '../errors.ts';

/** Signs a registration certificate; `est-ca` does. */
export type SignRegistration = (wanted: {
  readonly account: string;
  readonly name: string;
  readonly csr: string;
  readonly validityDays: number;
}) => Promise<{ readonly certificate: string; readonly chain: readonly string[] }>;

type Deps = {
  readonly certificates: RegistrationCertificates;
  readonly sign: SignRegistration;
  readonly now: () => number;
};

export type WantedCertificate = Pick<
  CertificateDocument,
  'account' | 'name' | 'deviceId' | 'limit' | 'maxWaiting'
> & { readonly csr: string; readonly validityDays: number; readonly by: string };

/**
 * Makes a registration certificate and records it: one that is not on record registers nothing.
 * @throws RegistrationError `registration-certificate-exists`; whatever `sign` fails with
 */
export async function createCertificate(
  { certificates, sign, now }: Deps,
  wanted: WantedCertificate,
): Promise<{ document: CertificateDocument; certificate: string; chain: readonly string[] }> {
  const { account, name, csr, validityDays, by, deviceId, limit, maxWaiting } = wanted;
  const signed = await sign({ account, name, csr, validityDays });
  const certificate = parseCertificatePem(signed.certificate);
  const document: CertificateDocument = {
    id: certificate.fingerprint,
    account,
    name,
    serialNumber: certificate.serialNumber,
    ...(deviceId === undefined ? {} : { deviceId }),
    ...(limit === undefined ? {} : { limit }),
    maxWaiting,
    notBefore: new Date(certificate.notBefore).toISOString(),
    notAfter: new Date(certificate.notAfter).toISOString(),
    createdAt: new Date(now()).toISOString(),
    createdBy: by,
  };
  try {
    await certificates.insert(document);
  } catch (cause) {
    if (!(cause instanceof StoreError && cause.code === 'duplicate')) throw cause;
    throw new RegistrationError(
      'registration-certificate-exists',
      `name: account "${account}" has a registration certificate "${name}"; take another name`,
      { field: 'name', cause },
    );
  }
  return { document, ...signed };
}

/** Revoked at once, for every replica: each request reads the record. @throws RegistrationError `unknown-registration-certificate` */
export async function revokeCertificate(
  { certificates, now }: Pick<Deps, 'certificates' | 'now'>,
  which: { readonly account: string; readonly name: string; readonly by: string },
): Promise<CertificateDocument> {
  const { account, name, by } = which;
  const { items } = await certificates.find({ index: 'byName', equals: { account, name }, limit: 1 });
  const [found] = items;
  if (found === undefined)
    throw new RegistrationError(
      'unknown-registration-certificate',
      `name: account "${account}" has no registration certificate "${name}"`,
      { field: 'name' },
    );
  return certificates.update(found.id, (current) =>
    current.revokedAt === undefined
      ? { document: { ...current, revokedAt: new Date(now()).toISOString(), revokedBy: by } }
      : undefined,
  );
}

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

export function certificateView({ id, ...rest }: CertificateDocument): RegistrationCertificate {
  return { certificateId: id, ...rest };
}
