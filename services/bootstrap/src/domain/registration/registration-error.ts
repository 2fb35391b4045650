import type { RefusalCode } from '@signet/contracts';

/** What asking for a registration, or deciding about one, fails with. */
export type RegistrationErrorCode =
  | Extract<
      RefusalCode,
      | 'malformed-request'
      | 'bad-csr-signature'
      | 'weak-key'
      | 'wrong-subject'
      | 'bad-identity'
      | 'unknown-registration-certificate'
      | 'another-key'
      | 'device-id-taken'
      | 'limit-reached'
      | 'request-limit-reached'
      | 'declined'
      | 'blocked'
      | 'retired'
      | 'revoked'
      | 'account-suspended'
    >
  | 'registration-certificate-exists'
  | 'unknown-request'
  | 'request-decided'
  | 'request-expired';

/** `message` names the field and the reason: for the operator, and for the device as far as its protocol tells. */
export class RegistrationError extends Error {
  override readonly name = 'RegistrationError';
  readonly code: RegistrationErrorCode;
  readonly field: string | undefined;

  constructor(
    code: RegistrationErrorCode,
    message: string,
    options: { field?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
  }
}
