import { RefusalCode } from '@signet/contracts';
import { Problem, type RefusalFacts } from '@signet/service';
import { z } from 'zod';
import { RegistrationError, type RegistrationErrorCode } from '../domain/refusals/errors.ts';

/** HTTP status of each refusal. */
export const statusOf = {
  'malformed-request': 400,
  'bad-csr-signature': 400,
  'weak-key': 400,
  'wrong-subject': 400,
  'bad-identity': 403,
  'unknown-registration-certificate': 403,
  'another-key': 409,
  'device-id-taken': 409,
  'limit-reached': 403,
  'request-limit-reached': 429,
  declined: 403,
  blocked: 403,
  retired: 403,
  revoked: 403,
  'account-suspended': 403,
  'registration-certificate-exists': 409,
  'unknown-request': 404,
  'request-decided': 409,
  'request-expired': 409,
} as const satisfies Record<RegistrationErrorCode, number>;

const RETRY_SECONDS = 300;

/** Runs steps of a registration; a refusal in them, wrong input too, is reported, and answered with its reason. */
export async function withRefusals<T>(
  refuse: (facts: RefusalFacts) => void,
  caller: {
    readonly account?: string | undefined;
    readonly deviceId?: string | undefined;
    readonly fingerprint?: string | undefined;
    readonly address: string;
  },
  steps: () => Promise<T>,
): Promise<T> {
  try {
    return await steps();
  } catch (cause) {
    if (cause instanceof z.ZodError) {
      const [{ path = [], message = 'wrong' } = {}] = cause.issues;
      const fault = `${path.join('.') || 'body'}: ${message}`;
      refuse({ ...caller, code: 'malformed-request', message: fault, listener: 'bootstrap' });
    }
    if (!(cause instanceof RegistrationError)) throw cause;
    const { code, message, field } = cause;
    const reported = RefusalCode.safeParse(code);
    if (reported.success) refuse({ ...caller, code: reported.data, message, listener: 'bootstrap' });
    const retry = code === 'request-limit-reached' ? { retryAfter: RETRY_SECONDS } : {};
    throw new Problem(statusOf[code], code, message, { field, cause, ...retry });
  }
}
