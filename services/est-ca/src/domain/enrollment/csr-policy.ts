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
import { missingAttribute } from '../profile/asked-attributes.ts';
import type { Profile } from '../profile/profile.ts';
import { EnrollmentError } from './enrollment-error.ts';

/** Reads a CSR: strict DER, version 0. Nothing in it is verified. @throws EnrollmentError `malformed-request`, `weak-key` */
export function readCsr(der: Uint8Array): Csr {
  return refusing(() => parseCsr(der));
}

/** Reads a CSR whose key and signature do not matter (RFC 7030 §4.4.1). @throws EnrollmentError `malformed-request` */
export function readKeylessCsr(der: Uint8Array): KeylessCsr {
  return refusing(() => parseKeylessCsr(der));
}

/**
 * Whether this CSR's key may be certified, and is held by whoever asks (RFC 7030 §4.2.1, §3.4). The extensions that it
 * asks for, basic constraints and key usages among them, are neither granted nor a fault.
 * @throws EnrollmentError `weak-key` (naming key or algorithm), `bad-csr-signature`, `missing-attribute`
 */
export function admitCsr(csr: Csr, profile: Profile): void {
  refusing(() => {
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

const codes: Partial<Record<PkiErrorCode, RefusalCode>> = {
  malformed: 'malformed-request',
  'too-large': 'malformed-request',
  'weak-key': 'weak-key',
  'unsupported-key': 'weak-key',
  'unsupported-algorithm': 'weak-key',
  'bad-signature': 'bad-csr-signature',
};

function refusing<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    const code = cause instanceof PkiError ? codes[cause.code] : undefined;
    if (code === undefined) throw cause;
    throw new EnrollmentError(code, `CSR: ${(cause as PkiError).message}`, { cause });
  }
}
