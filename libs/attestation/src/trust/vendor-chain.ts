import { type Certificate, PkiError, parseCertificate, verifyCertificateSignature } from '@signet/pki';
import { AttestationError } from '../attestation-error.ts';
import { type TpmIdentity, tpmIdentity } from './tpm-identity.ts';

/** Certificates of TPMs by what they are for (TCG EK Credential Profile 2.5 §3.2.16, TCG Platform/AK profiles). */
const USE = {
  endorsement: { oid: '2.23.133.8.1', name: 'tcg-kp-EKCertificate' },
  attestation: { oid: '2.23.133.8.3', name: 'tcg-kp-AIKCertificate' },
} as const;
export type TpmCertificateUse = keyof typeof USE;

/** A certificate of a TPM that a vendor's CA vouches for. */
export type VouchedTpm<Ca> = TpmIdentity & { readonly certificate: Certificate; readonly ca: Ca };

const MAX_CERTIFICATES = 8;

/**
 * Finds the TPM's certificate among those that it sent, and its way up to a CA of a vendor that is trusted.
 * @throws AttestationError `wrong-certificate`, `expired-certificate`, `unknown-vendor`, `malformed`
 */
export function vouchedTpm<Ca extends { readonly certificate: Certificate }>(
  sent: readonly Uint8Array[],
  use: TpmCertificateUse,
  trust: { readonly cas: readonly Ca[]; readonly now: number },
): VouchedTpm<Ca> {
  if (sent.length > MAX_CERTIFICATES)
    throw new AttestationError('too-large', `certs: ${sent.length}, at most ${MAX_CERTIFICATES} are read`);
  const [leaf, ...others] = sent.map(parsed);
  const what = `${use} certificate`;
  if (leaf === undefined) throw new AttestationError('wrong-certificate', `${what}: missing`);
  if (leaf.basicConstraints?.ca === true)
    throw new AttestationError('wrong-certificate', `${what}: is one of a CA; the TPM's own comes first`);
  const { oid, name } = USE[use];
  if (leaf.extKeyUsage?.includes(oid) !== true)
    throw new AttestationError('wrong-certificate', `${what}: lacks the extended key usage ${name}`);
  const [unknown] = leaf.unknownCritical;
  if (unknown !== undefined)
    throw new AttestationError('wrong-certificate', `${what}: critical extension ${unknown} is not known`);
  const ca = climb(leaf, others, what, trust);
  try {
    return { ...tpmIdentity(leaf), certificate: leaf, ca };
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new AttestationError('malformed', `${what}: ${cause.message}`, { cause });
  }
}

function parsed(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new AttestationError('malformed', `certs: ${cause.message}`, { cause });
  }
}

/** From issuer to issuer, each used once, until one is trusted. */
function climb<Ca extends { readonly certificate: Certificate }>(
  leaf: Certificate,
  others: readonly Certificate[],
  what: string,
  trust: { readonly cas: readonly Ca[]; readonly now: number },
): Ca {
  const left = new Set(others);
  let current = leaf;
  for (let below = 0; ; below++) {
    checkTime(current, trust.now, current === leaf ? what : 'CA above it');
    const ca = trust.cas.find(({ certificate }) => issued(certificate, current));
    if (ca !== undefined) {
      checkIssuer(ca.certificate, below);
      checkTime(ca.certificate, trust.now, "vendor's CA");
      return ca;
    }
    const next = [...left].find((candidate) => issued(candidate, current));
    if (next === undefined) {
      const issuer = current.issuer.commonName ?? current.issuer.organization ?? 'unnamed';
      throw new AttestationError(
        'unknown-vendor',
        `${what}: no CA that the account trusts is above it; it ends at issuer "${issuer}"`,
      );
    }
    checkIssuer(next, below);
    left.delete(next);
    current = next;
  }
}

function issued(issuer: Certificate, subject: Certificate): boolean {
  if (Buffer.compare(issuer.subjectDer, subject.issuerDer) !== 0) return false;
  try {
    return verifyCertificateSignature(subject, issuer);
  } catch {
    return false;
  }
}

function checkIssuer(ca: Certificate, below: number): void {
  const { basicConstraints, keyUsage, subject, unknownCritical } = ca;
  const name = `CA "${subject.commonName ?? subject.organization ?? 'unnamed'}"`;
  const mayIssue = basicConstraints?.ca === true && keyUsage?.has('keyCertSign') !== false;
  if (!mayIssue) throw new AttestationError('wrong-certificate', `${name}: may not issue certificates`);
  if (basicConstraints.pathLen !== undefined && basicConstraints.pathLen < below)
    throw new AttestationError('wrong-certificate', `${name}: too many CAs below it`);
  if (unknownCritical.length > 0)
    throw new AttestationError(
      'wrong-certificate',
      `${name}: critical extension ${unknownCritical[0]} is not known`,
    );
}

function checkTime({ notBefore, notAfter }: Certificate, now: number, what: string): void {
  if (now > notAfter)
    throw new AttestationError(
      'expired-certificate',
      `${what}: expired at ${new Date(notAfter).toISOString()}`,
    );
  if (now < notBefore)
    throw new AttestationError(
      'expired-certificate',
      `${what}: not valid before ${new Date(notBefore).toISOString()}`,
    );
}
