import { CodedError, type RefusalCode } from '@signet/contracts';

/** What the command of an operator on a device fails with: also codes of the operation `bootstrap.claim`. */
export const claimErrorCodes = [
  'unknown-device',
  'claimed-by-another',
  'blocked',
  'illegal-transition',
  'device-id-taken',
  'bad-claim-code',
  'ambiguous-code',
  'account-suspended',
] as const;

/** Codes in the result of one device in answers for many: `serial-number-taken` comes from the factory's call. */
export const itemErrorCodes = [
  'unknown-device',
  'illegal-transition',
  'serial-number-taken',
  'certificate-serial-taken',
] as const;

/** What registering a second identity, a rule or a hook fails with. */
export const keepingErrorCodes = [
  'bad-certificate',
  'identity-taken',
  'too-many-rules',
  'unknown-rule',
  'unknown-redirect',
  'bad-url',
  'no-hook',
  'unknown-notification',
] as const;

export type BootstrapErrorCode =
  | (typeof claimErrorCodes)[number]
  | (typeof itemErrorCodes)[number]
  | (typeof keepingErrorCodes)[number];

/** What a command on a device fails with. */
export class BootstrapError extends CodedError<BootstrapErrorCode> {}

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
export class RegistrationError extends CodedError<RegistrationErrorCode> {}
