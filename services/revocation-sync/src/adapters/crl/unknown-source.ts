import { OperationError } from '@signet/contracts';

/** What nobody has by that name. */
export function unknownSource(): OperationError {
  return new OperationError('unknown-crl-source', 'name: the account has no such CRL source', {
    field: 'name',
  });
}
