import { OperationError } from '@signet/contracts';
import { BootstrapError } from '../domain/errors.ts';

/** What the domain fails with, as the caller of an operation gets it; any other error as it is. */
export function asOperationError(error: unknown): unknown {
  if (!(error instanceof BootstrapError)) return error;
  const field = error.field === undefined ? {} : { field: error.field };
  return new OperationError(error.code, error.message, { ...field, cause: error });
}
