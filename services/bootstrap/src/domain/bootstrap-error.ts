export type BootstrapErrorCode =
  | 'unknown-device'
  | 'claimed-by-another'
  | 'blocked'
  | 'illegal-transition'
  | 'device-id-taken'
  | 'serial-number-taken'
  | 'invalid-input';

/** What a command on a device fails with. */
export class BootstrapError extends Error {
  override readonly name = 'BootstrapError';
  readonly code: BootstrapErrorCode;
  readonly field: string | undefined;

  constructor(code: BootstrapErrorCode, message: string, field?: string) {
    super(message);
    this.code = code;
    this.field = field;
  }
}
