import { hash, type KeyObject } from 'node:crypto';
import { PkiError } from '../../pki-error.ts';
import { hashOf } from '../../signature-algorithm.ts';
import { ecdsaDer } from '../ecdsa-der.ts';
import type { SignatureAlgorithmName } from '../signer.ts';

/** DigestInfo of SHA-256 without the hash (RFC 8017 §9.2, note 1). */
const SHA256_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex');

/** How a token is made to sign: which mechanism, over what, and what becomes of its answer. */
export type Mechanism = {
  readonly name: 'CKM_ECDSA' | 'CKM_RSA_PKCS';
  /** What the token signs: tokens hash slowly or not at all, so the hash is made here. */
  input(data: Uint8Array): Buffer;
  /** Longest answer, in bytes. */
  readonly maxLength: number;
  /** The signature as X.509 carries it. */
  output(raw: Buffer): Uint8Array;
};

/** @throws PkiError `unsupported-key` for Ed25519, which few tokens have */
export function mechanismFor(algorithm: SignatureAlgorithmName, publicKey: KeyObject): Mechanism {
  const digest = (data: Uint8Array): Buffer => hash(hashOf(algorithm) ?? 'sha256', data, 'buffer');
  if (algorithm === 'ecdsa-with-SHA256' || algorithm === 'ecdsa-with-SHA384')
    return { name: 'CKM_ECDSA', input: digest, maxLength: 144, output: ecdsaDer };
  if (algorithm === 'sha256WithRSAEncryption')
    return {
      name: 'CKM_RSA_PKCS',
      input: (data) => Buffer.concat([SHA256_INFO, digest(data)]),
      maxLength: (publicKey.asymmetricKeyDetails?.modulusLength ?? 8192) / 8,
      output: (raw) => new Uint8Array(raw),
    };
  throw new PkiError('unsupported-key', `key: ${algorithm} by PKCS#11 is not supported`);
}
