/** Stable codes of everything this library refuses. */
export type PkiErrorCode =
  /** Not DER, or DER that is not the structure it should be. */
  | 'malformed'
  /** Longer than the limit for its kind. */
  | 'too-large'
  /** Not PEM, or PEM of another kind. */
  | 'bad-pem'
  /** Strict base64 expected. */
  | 'bad-base64'
  /** A signature does not verify. */
  | 'bad-signature'
  /** A key that is too short, or whose parameters are unsafe. */
  | 'weak-key'
  /** A kind of key or a curve that is not known, or that the caller does not allow. */
  | 'unsupported-key'
  /** A signature algorithm that is not known, or does not fit its key. */
  | 'unsupported-algorithm'
  /** A certificate that its issuer cannot give: wrong kind, wrong time, wrong key. */
  | 'not-issuable'
  /** A prepared certificate violates a rule; the message cites it. */
  | 'lint'
  /** A linted certificate was already signed once. */
  | 'already-used'
  /** A signer failed, or signed with another key than the issuer's. */
  | 'signer-failed'
  /** A file of keys or passphrases that is missing, exists already, or is not what it should be. */
  | 'key-file'
  /** Others than the owner may read a file of keys or passphrases. */
  | 'unsafe-file-mode'
  /** A key file does not open with this passphrase. */
  | 'wrong-passphrase'
  /** A key URI (RFC 7512) that cannot be read, or names too little. */
  | 'bad-key-uri'
  /** No PKCS#11 here: the bindings or the library are missing. */
  | 'no-key-store';

/** What this library throws. `code` is stable; the message names the field and the reason. */
export class PkiError extends Error {
  override readonly name = 'PkiError';
  readonly code: PkiErrorCode;

  constructor(code: PkiErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A token that did not take the PIN: tried again, it may lock itself. */
export class PinRefusedError extends PkiError {
  /** As PKCS#11 names it: `CKR_PIN_INCORRECT`, `CKR_PIN_LOCKED`. */
  readonly reason: string;

  constructor(token: string, reason: string, options?: ErrorOptions) {
    super('signer-failed', `pkcs11: PIN refused by token "${token}" (${reason})`, options);
    this.reason = reason;
  }
}
