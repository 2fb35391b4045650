import { CodedError } from '@signet/contracts';

export type TpmErrorCode =
  /** The name of a TPM that cannot be read. */
  | 'bad-tcti'
  /** The TPM does not answer. */
  | 'unreachable'
  /** The TPM answered with an error; `responseCode` is its TPM_RC. */
  | 'refused'
  /** Not a TSS2 PRIVATE KEY, or one of a kind that is not used here. */
  | 'bad-key';

/** What this library throws. */
export class TpmError extends CodedError<TpmErrorCode> {
  /** TPM_RC, where the TPM refused. */
  readonly responseCode: number | undefined;

  constructor(code: TpmErrorCode, message: string, options: { cause?: unknown; responseCode?: number } = {}) {
    super(code, message, options);
    this.responseCode = options.responseCode;
  }
}
