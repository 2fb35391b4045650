import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { hashOf, signatureAlgorithmFor } from '../signature-algorithm.ts';
import { LONG_BYTES, signSliced } from '../sliced.ts';
import type { Signer } from './signer.ts';

/** A signer with a private key in memory. Throws `PkiError` `unsupported-key` for a kind that a CA may not have. */
export function keySigner(privateKey: KeyObject): Signer {
  const publicKey = createPublicKey(privateKey);
  const algorithm = signatureAlgorithmFor(publicKey);
  const hash = hashOf(algorithm);
  return {
    algorithm,
    publicKey,
    sign: (data) =>
      data.length < LONG_BYTES ? sign(hash, data, privateKey) : signSliced(hash, data, privateKey),
  };
}
