import { BusError } from '@signet/bus';
import { PkiError } from '@signet/pki';
import { StoreError } from '@signet/store';
import { AuthorityError } from '../../domain/authority/authority-error.ts';
import { EnrollmentError } from '../../domain/enrollment-error.ts';
import { WireError } from './wire-error.ts';

/** The refusal that an error amounts to; undefined where it is a fault of ours that nobody foresaw. */
export function refusalOf(error: unknown): EnrollmentError | undefined {
  if (error instanceof EnrollmentError) return error;
  if (error instanceof WireError)
    return new EnrollmentError('malformed-request', error.message, { cause: error });
  if (error instanceof AuthorityError && error.code === 'own-ca-out-of-force')
    return new EnrollmentError(error.code, error.message, { cause: error });
  const away =
    (error instanceof StoreError && (error.code === 'unavailable' || error.code === 'closed')) ||
    error instanceof BusError ||
    error instanceof AuthorityError ||
    (error instanceof PkiError && error.code === 'signer-failed');
  if (!away) return undefined;
  return new EnrollmentError('unavailable', 'service: not able to issue now; try again later', {
    cause: error,
  });
}
