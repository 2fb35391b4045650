import type { RefusalCode } from '@signet/contracts';
import {
  type Csr,
  checkKey,
  type KeylessCsr,
  PkiError,
  type PkiErrorCode,
  parseCsr,
  parseKeylessCsr,
  verifyCsr,
} from '@signet/pki';
import type { CheckedKey, RequireAttestation } from '../attestation/require-attestation.ts';
import { EnrollmentError, type ProvenDevice } from '../est/enrollment-error.ts';
import type { Profile } from '../profile/profile.ts';

/** Reads a CSR: strict DER, version 0. Nothing in it is verified. @throws EnrollmentError `malformed-request`, `weak-key` */
export function readCsr(der: Uint8Array): Csr {
  return readOrReject(() => parseCsr(der));
}

/** Reads a CSR whose key and signature do not matter (RFC 7030 §4.4.1). @throws EnrollmentError `malformed-request` */
export function readKeylessCsr(der: Uint8Array): KeylessCsr {
  return readOrReject(() => parseKeylessCsr(der));
}

/**
 * Whether this CSR's key may be certified, and is held by whoever asks (RFC 7030 §4.2.1, §3.4). The extensions that it
 * asks for, basic constraints and key usages among them, are neither granted nor a fault.
 * @throws EnrollmentError `weak-key` (naming key or algorithm), `bad-csr-signature`, `missing-attribute`
 */
export function checkCsrPolicy(csr: Csr, profile: Profile): void {
  readOrReject(() => {
    checkKey(csr.key, profile.keyKinds);
    verifyCsr(csr);
  });
  const { name } = csr.signatureAlgorithm;
  if (
    profile.signatureAlgorithms !== undefined &&
    !profile.signatureAlgorithms.some((allowed) => allowed === name)
  )
    throw new EnrollmentError(
      'weak-key',
      `CSR: signatureAlgorithm: ${name} is not allowed; allowed are ${profile.signatureAlgorithms.join(', ')}`,
    );
  requireAttributes(csr, profile);
}

/** @throws EnrollmentError `missing-attribute`, naming it */
export function requireAttributes(csr: Pick<Csr, 'extensions' | 'attributes'>, profile: Profile): void {
  const missing = missingAttribute(csr, profile);
  if (missing !== undefined) throw new EnrollmentError('missing-attribute', `CSR: ${missing}`);
}

const EXTENSION_OIDS = { keyUsage: '2.5.29.15', extKeyUsage: '2.5.29.37' } as const;

/** What a CSR lacks of what the profile requires, with how it is asked for; undefined where nothing. */
function missingAttribute(
  csr: Pick<Csr, 'extensions' | 'attributes'>,
  profile: Pick<Profile, 'requiredExtensions' | 'requiredAttributes'>,
): string | undefined {
  const extension = profile.requiredExtensions.find(
    (name) => !csr.extensions.some(({ oid }) => oid === EXTENSION_OIDS[name]),
  );
  if (extension !== undefined)
    return `extensionRequest: lacks ${extension}, which the profile requires (see csrattrs)`;
  const attribute = profile.requiredAttributes.find((oid) => !csr.attributes.includes(oid));
  return attribute === undefined
    ? undefined
    : `attributes: lacks ${attribute}, which the profile requires (see csrattrs)`;
}

const codes: Partial<Record<PkiErrorCode, RefusalCode>> = {
  malformed: 'malformed-request',
  'too-large': 'malformed-request',
  'weak-key': 'weak-key',
  'unsupported-key': 'weak-key',
  'unsupported-algorithm': 'weak-key',
  'bad-signature': 'bad-csr-signature',
};

function readOrReject<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    const code = cause instanceof PkiError ? codes[cause.code] : undefined;
    if (code === undefined) throw cause;
    throw new EnrollmentError(code, `CSR: ${(cause as PkiError).message}`, { cause });
  }
}

/**
 * Whether the key of a CSR may be certified under a profile, with the proof that a TPM holds it where the profile wants
 * one. Which TPM it is may decide the profile: its own rules then count as well.
 * @returns the profile that is in force, and what vouches for the key
 * @throws EnrollmentError whatever it refuses
 */
export async function checkKeyPolicy(
  { requireAttestation }: { readonly requireAttestation: RequireAttestation },
  csr: Csr,
  device: ProvenDevice,
  asked: Profile,
): Promise<CheckedKey> {
  checkCsrPolicy(csr, asked);
  if (asked.attestation === 'none') return { profile: asked, attestation: { kind: 'none' } };
  const checked = await requireAttestation(csr, device, asked);
  if (checked.profile.id !== asked.id) checkCsrPolicy(csr, checked.profile);
  return checked;
}

/** Base64 of the connection's channel binding: tls-unique on TLS 1.2, tls-exporter (RFC 9266) on TLS 1.3. */
export type ChannelBinding = () => string | undefined;

/** Bytes of tls-unique (RFC 5929 §3, verify_data of TLS 1.2) and of tls-exporter (RFC 9266 §2). */
const BINDING_OCTETS: ReadonlySet<number> = new Set([12, 32]);

/** Whether a text has the form of a channel binding. */
export function isChannelBinding(text: string): boolean {
  const bytes = Buffer.from(text, 'base64');
  return BINDING_OCTETS.has(bytes.length) && bytes.toString('base64') === text;
}

/**
 * Linking of identity and proof of possession (RFC 7030 §3.5): the challengePassword of the CSR is the channel binding
 * of the connection that it came on.
 * @throws EnrollmentError `wrong-binding`
 */
export function requireChannelBinding(
  profile: Pick<Profile, 'id' | 'popLinking'>,
  challengePassword: string | undefined,
  binding: ChannelBinding,
): void {
  if (!profile.popLinking) return;
  const required = `profile "${profile.id}" requires linking of identity and proof of possession (RFC 7030 §3.5): tls-unique on TLS 1.2, EXPORTER-Channel-Binding on TLS 1.3, in base64`;
  if (challengePassword === undefined)
    throw new EnrollmentError('wrong-binding', `challengePassword: missing; ${required}`);
  if (challengePassword !== binding())
    throw new EnrollmentError(
      'wrong-binding',
      `challengePassword: is not the channel binding of this connection; ${required}`,
    );
}

/** What need not be there but is must be right. @throws EnrollmentError `wrong-binding` */
export function verifyOptionalBinding(challengePassword: string | undefined, binding: ChannelBinding): void {
  if (challengePassword !== undefined && challengePassword !== binding())
    throw new EnrollmentError(
      'wrong-binding',
      'challengePassword: is not the channel binding of this connection (RFC 7030 §3.5)',
    );
}
