import type { RefusalCode } from '@signet/contracts';
import { type Csr, checkKey, PkiError, type PkiErrorCode, parseCsr, verifyCsr } from '@signet/pki';
import type { Profile } from '../profile/profile.ts';
import { EnrollmentError } from './enrollment-error.ts';

/** Reads a CSR: strict DER, version 0. Nothing in it is verified. @throws EnrollmentError `malformed-request`, `weak-key` */
export function readCsr(der: Uint8Array): Csr {
  return refusing(() => parseCsr(der));
}

/**
 * Whether this CSR's key may be certified, and is held by whoever asks (RFC 7030 §4.2.1, §3.4). The extensions that it
 * asks for, basic constraints and key usages among them, are neither granted nor a fault.
 * @throws EnrollmentError `weak-key` (naming key or algorithm), `bad-csr-signature`
 */
export function admitCsr(csr: Csr, profile: Pick<Profile, 'keyKinds'>): void {
  refusing(() => {
    checkKey(csr.key, profile.keyKinds);
    verifyCsr(csr);
  });
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
