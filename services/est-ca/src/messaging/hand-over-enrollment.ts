import type { Bus } from '@signet/bus';
import { enrollHandedOver } from '@signet/contracts';
import { decodeBase64, decodePem, PkiError } from '@signet/pki';
import { ApprovalPending } from '../domain/approval/approval.ts';
import { AuthorityError } from '../domain/authority/authority-error.ts';
import { enrollHandedOff as enroll } from '../domain/enrollment/enroll.ts';
import { EnrollmentError } from '../domain/enrollment-error.ts';

/** Enrols devices that sent their CSR with the bootstrap request (F64). What is refused is an answer, not a failure. */
export function serveHandOverEnrollment(
  bus: Pick<Bus, 'serve'>,
  deps: Parameters<typeof enroll>[0],
): Promise<AsyncDisposable> {
  return bus.serve(enrollHandedOver, async ({ csr, ...request }) => {
    try {
      const { certificate } = await enroll(deps, { ...request, csr: derOf(csr) });
      return { certificate };
    } catch (error) {
      if (error instanceof AuthorityError && error.code === 'no-authority')
        return { refusal: { code: 'no-issuing-ca' as const, message: error.message } };
      if (error instanceof AuthorityError && error.code === 'own-ca-out-of-force')
        return { refusal: { code: error.code, message: error.message } };
      if (error instanceof ApprovalPending) return { pending: true as const };
      if (!(error instanceof EnrollmentError) || error.code === 'unavailable') throw error;
      return { refusal: { code: error.code, message: error.message } };
    }
  });
}

function derOf(csr: string): Uint8Array {
  try {
    return csr.includes('-----BEGIN') ? decodePem(csr, 'CERTIFICATE REQUEST') : decodeBase64(csr.trim());
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new EnrollmentError('malformed-request', `csr: ${cause.message}`, { cause });
  }
}
