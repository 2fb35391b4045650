export type AuthorityErrorCode =
  | 'foreign-key'
  | 'missing-key'
  | 'no-authority'
  | 'own-ca-out-of-force'
  | 'no-key-store'
  | 'no-root'
  | 'root-exists'
  | 'root-elsewhere'
  | 'authority-exists'
  | 'platform-only'
  | 'unknown-authority'
  | 'not-a-factory-elsewhere'
  | 'illegal-transition'
  | 'bad-certificate'
  | 'does-not-chain'
  | 'statement-missing'
  | 'statement-invalid'
  | 'statement-expired'
  | 'statement-used'
  | 'no-replacement'
  | 'replacement-exists'
  | 'fleet-not-ready'
  | 'too-many-authorities'
  | 'bad-crl'
  | 'crl-number'
  | 'crl-lists-less';

/** What is wrong with a CA, or with a change of an account's CAs. `message` names the field and the reason. */
export class AuthorityError extends Error {
  override readonly name = 'AuthorityError';
  readonly code: AuthorityErrorCode;

  constructor(code: AuthorityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
