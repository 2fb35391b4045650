import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { hashOf, signatureAlgorithmFor } from '../signature-algorithm.ts';
import type { Signer } from './signer.ts';

const signInPool = promisify(sign);
/** Hashing this much takes longer than the way to another thread: a large CRL would block the event loop. */
const LONG_BYTES = 256 * 1024;

/** A signer with a private key in memory. Throws `PkiError` `unsupported-key` for a kind that a CA may not have. */
export function keySigner(privateKey: KeyObject): Signer {
  const publicKey = createPublicKey(privateKey);
  const algorithm = signatureAlgorithmFor(publicKey);
  const hash = hashOf(algorithm);
  return {
    algorithm,
    publicKey,
    sign: (data) =>
      data.length < LONG_BYTES ? sign(hash, data, privateKey) : signInPool(hash, data, privateKey),
  };
}
