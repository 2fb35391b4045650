import { OperationError } from '@signet/contracts';
import { StoreError } from '@signet/store';
import { BootstrapError } from '../domain/bootstrap-error.ts';

/** What the domain and the store fail with, as the caller of an operation gets it. */
export function asOperationError(error: unknown): unknown {
  if (error instanceof BootstrapError) {
    const field = error.field === undefined ? {} : { field: error.field };
    return new OperationError(error.code, error.message, { ...field, cause: error });
  }
  if (error instanceof StoreError && error.code === 'unavailable') {
    return new OperationError('unavailable', 'the store does not answer', { cause: error });
  }
  return error;
}
