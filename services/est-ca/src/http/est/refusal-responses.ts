import { BusError } from '@signet/bus';
import type { RefusalCode } from '@signet/contracts';
import { PkiError } from '@signet/pki';
import { StoreError } from '@signet/store';
import { AuthorityError } from '../../domain/authority/authority.ts';
import { EnrollmentError } from '../../domain/est/enrollment-error.ts';
import type { EstHttpRequest } from './est-request.ts';
import { type EstResponse, text, WireError } from './est-response.ts';

/** What a device is answered. `challenge`: with `WWW-Authenticate`. `retryAfter`: in seconds. */
export type RefusalResponse = {
  readonly status: 400 | 401 | 403 | 404 | 413 | 429 | 503;
  readonly challenge?: true;
  readonly retryAfter?: number;
};

const forbidden = { status: 403 } as const;
const badRequest = { status: 400 } as const;
const unavailable = { status: 503, retryAfter: 5 } as const;

/** Every reason for a refusal and its HTTP response; the text of it is the refusal's message. */
export const refusalResponses = {
  'no-certificate': forbidden,
  'malformed-certificate': forbidden,
  'unknown-issuer': forbidden,
  'bad-signature': forbidden,
  // this clock or the issuer's is wrong: another replica, or a later try, may let it in
  'not-yet-valid': { status: 503, retryAfter: 60 },
  expired: forbidden,
  'issuer-expired': forbidden,
  'issuer-disabled': forbidden,
  'not-a-leaf': forbidden,
  'path-too-long': forbidden,
  'wrong-key-usage': forbidden,
  'wrong-extended-key-usage': forbidden,
  'wrong-purpose': forbidden,
  'bad-identity': forbidden,
  denied: forbidden,
  'denylist-not-loaded': unavailable,
  'denylist-stale': unavailable,
  'unknown-device': forbidden,
  unclaimed: forbidden,
  blocked: forbidden,
  retired: forbidden,
  'wrong-identity': forbidden,
  'waits-for-operator': forbidden,
  redirected: forbidden,
  'no-issuing-ca': unavailable,
  'account-suspended': forbidden,
  'request-closed': forbidden,
  'outside-window': forbidden,
  'already-provisioned': forbidden,
  'unknown-registration-certificate': forbidden,
  'another-key': forbidden,
  'device-id-taken': forbidden,
  'limit-reached': forbidden,
  'request-limit-reached': forbidden,
  'no-credentials': { status: 401, challenge: true },
  'wrong-grant': { status: 401, challenge: true },
  'used-grant': forbidden,
  'expired-grant': forbidden,
  'malformed-request': badRequest,
  'bad-csr-signature': badRequest,
  'weak-key': badRequest,
  'not-certifiable': badRequest,
  'own-ca-out-of-force': unavailable,
  'wrong-subject': forbidden,
  'wrong-san': forbidden,
  'wrong-account': forbidden,
  'unknown-profile': { status: 404 },
  'wrong-profile': forbidden,
  'device-enrolled': forbidden,
  'key-compromised': forbidden,
  revoked: forbidden,
  'too-early': forbidden,
  'third-key': forbidden,
  'wrong-binding': badRequest,
  'missing-attribute': badRequest,
  declined: forbidden,
  'hook-refused': forbidden,
  'no-attestation': forbidden,
  'bad-attestation': badRequest,
  'wrong-nonce': forbidden,
  'not-a-tpm-key': forbidden,
  'unknown-vendor': forbidden,
  'other-tpm': forbidden,
  'wrong-client-id': forbidden,
  'wrong-password': { status: 401, challenge: true },
  'topic-not-allowed': forbidden,
  'packet-too-large': { status: 413 },
  'rate-limited': { status: 429, retryAfter: 30 },
  unavailable: unavailable,
  'internal-error': unavailable,
} as const satisfies Record<RefusalCode, RefusalResponse>;

/** The refusal that an error amounts to; undefined where it is a fault of ours that nobody foresaw. */
export function refusalOf(error: unknown): EnrollmentError | undefined {
  if (error instanceof EnrollmentError) return error;
  if (error instanceof WireError)
    return new EnrollmentError('malformed-request', error.message, { cause: error });
  if (error instanceof AuthorityError && error.code === 'own-ca-out-of-force')
    return new EnrollmentError(error.code, error.message, { cause: error });
  const isUnavailable =
    (error instanceof StoreError && (error.code === 'unavailable' || error.code === 'closed')) ||
    error instanceof BusError ||
    error instanceof AuthorityError ||
    (error instanceof PkiError && error.code === 'signer-failed');
  if (!isUnavailable) return undefined;
  return new EnrollmentError('unavailable', 'service: not able to issue now; try again later', {
    cause: error,
  });
}

/** What a device is told of a refusal. */
export function refusalResponse(
  { code, message }: EnrollmentError,
  request: Pick<EstHttpRequest, 'headers'>,
): EstResponse {
  const { status, challenge, retryAfter }: RefusalResponse = refusalResponses[code];
  const headers: Record<string, string> = {};
  if (challenge === true) headers['WWW-Authenticate'] = 'Basic realm="estrealm"';
  if (retryAfter !== undefined) headers['Retry-After'] = String(retryAfter);
  const isAskedToAuthenticate = status === 401 && request.headers.authorization === undefined;
  return isAskedToAuthenticate ? { status, headers } : text(status, message, headers);
}
