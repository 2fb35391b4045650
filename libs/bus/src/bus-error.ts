export type BusErrorCode =
  | 'unavailable'
  | 'full'
  | 'too-large'
  | 'closed'
  | 'unknown-dead-letter'
  | 'invalid-consumer';

/** What a bus fails with where it is not an operation that failed. */
export class BusError extends Error {
  override readonly name = 'BusError';
  readonly code: BusErrorCode;

  constructor(code: BusErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}
