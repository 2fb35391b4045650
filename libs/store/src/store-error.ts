import { BackendError } from '@signet/contracts';

export type StoreErrorCode =
  | 'duplicate'
  | 'not-found'
  | 'invalid-document'
  | 'invalid-query'
  | 'wrong-cursor'
  | 'newer-schema'
  | 'unavailable'
  | 'closed';

/**
 * What a store fails with. `index` names the violated index of a `duplicate`. `wrong-cursor`: whoever asks for the page was never given
 * this cursor with this query. `newer-schema`: a later release has written
 * the data, and this one does not touch it.
 */
export class StoreError extends BackendError<StoreErrorCode> {
  readonly index: string | undefined;

  constructor(code: StoreErrorCode, message: string, options: { index?: string; cause?: unknown } = {}) {
    super(code, message, options);
    this.index = options.index;
  }
}
