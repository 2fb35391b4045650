import { AttestationError, type AttestationErrorCode } from '@signet/attestation';
import type { RefusalCode } from '@signet/contracts';
import { EnrollmentError } from '../enrollment/enrollment-error.ts';

const codes = {
  malformed: 'bad-attestation',
  'too-large': 'bad-attestation',
  'unsupported-algorithm': 'bad-attestation',
  'wrong-magic': 'bad-attestation',
  'wrong-type': 'bad-attestation',
  'bad-signature': 'bad-attestation',
  'wrong-nonce': 'wrong-nonce',
  'wrong-name': 'not-a-tpm-key',
  'wrong-key': 'not-a-tpm-key',
  'wrong-attribute': 'not-a-tpm-key',
  'not-an-attestation-key': 'not-a-tpm-key',
  'unknown-vendor': 'unknown-vendor',
  'expired-certificate': 'unknown-vendor',
  'wrong-certificate': 'unknown-vendor',
} as const satisfies Record<AttestationErrorCode, RefusalCode>;

/** Runs a step of an attestation; what it refuses is the refusal of an enrolment, with its own name in the message. */
export function refusing<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (!(cause instanceof AttestationError)) throw cause;
    throw new EnrollmentError(codes[cause.code], `attestation: ${cause.code}: ${cause.message}`, { cause });
  }
}
