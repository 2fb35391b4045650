import { BackendError } from '@signet/contracts';

export type BusErrorCode =
  | 'unavailable'
  | 'full'
  | 'too-large'
  | 'closed'
  | 'unknown-dead-letter'
  | 'invalid-consumer';

/** What a bus fails with where it is not an operation that failed. */
export class BusError extends BackendError<BusErrorCode> {}
