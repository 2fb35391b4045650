import type { KeyObject } from 'node:crypto';

/** Signature algorithms that a CA key may use; the names are those of RFC 5480, RFC 8410 and RFC 8017. */
export type SignatureAlgorithmName =
  | 'ecdsa-with-SHA256'
  | 'ecdsa-with-SHA384'
  | 'Ed25519'
  | 'sha256WithRSAEncryption';

/** A key that signs and does not leave its holder: an encrypted file, an HSM, a remote service. */
export interface Signer {
  readonly algorithm: SignatureAlgorithmName;
  readonly publicKey: KeyObject;
  /** The signature over `data` as X.509 carries it: ECDSA in DER, Ed25519 and RSA raw. */
  sign(data: Uint8Array): Uint8Array | Promise<Uint8Array>;
}
