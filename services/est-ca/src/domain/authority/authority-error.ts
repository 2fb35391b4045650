export type AuthorityErrorCode = 'foreign-key' | 'missing-key' | 'no-authority';

/** What is wrong with the platform's CAs; nothing is issued until it is put right. */
export class AuthorityError extends Error {
  override readonly name = 'AuthorityError';
  readonly code: AuthorityErrorCode;

  constructor(code: AuthorityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
