import * as operations from '@signet/contracts';
import { PLATFORM_ACCOUNT, type RegistrationCertificate } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { isDuplicate } from '@signet/store';
import type { CertificateDocument, RegistrationCertificates } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { readPage, viewsOf } from '../documents/documents.ts';
import { RegistrationError } from '../refusals/errors.ts';
import { SIGN_DEADLINE } from './register-device.ts';

/**
 * Makes a registration certificate and records it: one that is not on record registers nothing.
 * @throws RegistrationError `registration-certificate-exists`; OperationError as `est-ca` does
 */
export async function createRegistrationCertificate(
  { certificates, bus, trust, now }: Pick<Context, 'certificates' | 'bus' | 'trust' | 'now'>,
  wanted: InputOf<typeof operations.createRegistrationCertificate>,
) {
  const { account, name, csr, validityDays, by, deviceId, limit, maxWaiting } = wanted;
  const signed = await bus.request(
    operations.signRegistration,
    { account, name, csr, validityDays },
    SIGN_DEADLINE,
  );
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
    if (!isDuplicate(cause)) throw cause;
    throw new RegistrationError(
      'registration-certificate-exists',
      `name: account "${account}" has a registration certificate "${name}"; take another name`,
      { field: 'name', cause },
    );
  }
  return {
    registration: certificateView(document),
    certificate: signed.certificate,
    chain: [...signed.chain],
    trustAnchors: trustAnchorsOf({ trust }, account),
  };
}

/** Revoked at once, for every replica: each request reads the record. @throws RegistrationError `unknown-registration-certificate` */
export async function revokeRegistrationCertificate(
  { certificates, now }: Pick<Context, 'certificates' | 'now'>,
  { account, name, by }: InputOf<typeof operations.revokeRegistrationCertificate>,
) {
  const { items } = await certificates.find({ index: 'byName', equals: { account, name }, limit: 1 });
  const [found] = items;
  if (found === undefined)
    throw new RegistrationError(
      'unknown-registration-certificate',
      `name: account "${account}" has no registration certificate "${name}"`,
      { field: 'name' },
    );
  const revoked = await certificates.update(found.id, (current) =>
    current.revokedAt === undefined
      ? { document: { ...current, revokedAt: new Date(now()).toISOString(), revokedBy: by } }
      : undefined,
  );
  return certificateView(revoked);
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

export async function listRegistrationCertificates(
  { certificates }: Pick<Context, 'certificates'>,
  { account, ...page }: InputOf<typeof operations.listRegistrationCertificates>,
) {
  return viewsOf(
    await readPage(certificates, { index: 'byName', equals: { account } }, page),
    certificateView,
  );
}

/** Roots that devices of an account trust, PEM: its own, and those of the platform. */
export function trustAnchorsOf({ trust }: Pick<Context, 'trust'>, account: string): string[] {
  return trust
    .authorities()
    .filter(
      ({ kind, state, account: owner }) =>
        kind === 'root' && state === 'active' && (owner === PLATFORM_ACCOUNT || owner === account),
    )
    .map(({ certificate }) => certificate);
}
