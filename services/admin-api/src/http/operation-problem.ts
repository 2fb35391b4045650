import { OperationError } from '@signet/contracts';
import { Problem } from '@signet/service';
import { QueueError, type QueueErrorCode } from '../domain/queue/queue-record.ts';

/** HTTP status of each code that an operation behind a route may fail with; the common ones are libs/service's. */
const statusOf: Readonly<Record<string, number>> = {
  'unknown-device': 404,
  'unknown-certificate': 404,
  'not-on-hold': 409,
  'claimed-by-another': 409,
  blocked: 409,
  'illegal-transition': 409,
  'device-id-taken': 409,
  'request-exists': 409,
  'rotation-in-progress': 409,
  'rotation-confirmed': 409,
  'campaign-state': 409,
  'unknown-campaign': 404,
  'no-rotation': 409,
  'unknown-file': 404,
  'shared-layer': 422,
  'not-encrypted': 422,
  'too-many-files': 422,
  'too-many-labels': 422,
  'group-by-labels': 409,
  'group-exists': 409,
  'unknown-group': 404,
  'unknown-profile': 404,
  'account-suspended': 403,
  'profile-exists': 409,
  'profile-in-use': 409,
  'no-issuing-ca': 409,
  'invalid-profile': 422,
  'unknown-request': 404,
  'request-decided': 409,
  'request-expired': 409,
  'limit-reached': 409,
  'bad-csr': 422,
  'registration-certificate-exists': 409,
  'unknown-registration-certificate': 404,
  'no-factory-ca': 409,
  'bad-claim-code': 422,
  'ambiguous-code': 409,
  'identity-taken': 409,
  'too-many-rules': 409,
  'unknown-rule': 404,
  'unknown-redirect': 404,
  'bad-url': 422,
  'no-hook': 404,
  'unknown-notification': 404,
  'root-elsewhere': 409,
  'root-exists': 409,
  'authority-exists': 409,
  'platform-only': 403,
  'no-root': 409,
  'no-key-store': 409,
  'unknown-authority': 404,
  'not-a-factory-elsewhere': 409,
  'bad-certificate': 422,
  'unknown-attestation-ca': 404,
  'does-not-chain': 422,
  'foreign-key': 422,
  'statement-missing': 403,
  'statement-invalid': 403,
  'statement-expired': 403,
  'statement-used': 409,
  'no-replacement': 404,
  'replacement-exists': 409,
  'fleet-not-ready': 409,
  'crl-source-exists': 409,
  'unknown-crl-source': 404,
  'crl-source-busy': 409,
  'foreign-issuer': 422,
  'crl-refused': 422,
  'too-many-authorities': 409,
  'bad-crl': 422,
  'crl-number': 409,
  'crl-lists-less': 409,
};

const queueStatus = {
  'bad-url': 422,
  'too-many-queues': 409,
  'queue-exists': 409,
  'unknown-queue': 404,
  'not-a-pull-queue': 409,
  'not-handed-out': 409,
} as const satisfies Record<QueueErrorCode, number>;

/** An operation's own error as the caller of the API gets it; any other error as it is. */
export function asProblem(error: unknown): unknown {
  if (error instanceof QueueError)
    return new Problem(queueStatus[error.code], error.code, error.message, {
      field: error.field,
      cause: error,
    });
  if (!(error instanceof OperationError)) return error;
  const status = statusOf[error.code];
  return status === undefined
    ? error
    : new Problem(status, error.code, error.message, { field: error.field, cause: error });
}
