import { createSign, createVerify, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';

/** From here on hashing takes long enough to be felt by whoever else waits for the event loop. */
export const LONG_BYTES = 256 * 1024;
const SLICE_BYTES = 1024 * 1024;

const signInPool = promisify(sign);
const verifyInPool = promisify(verify);

/**
 * Signs or verifies what is as long as a large CRL, other work coming between. (Node's own asynchronous form copies all
 * of it at once, on the main thread; it is used for Ed25519 alone, which cannot be hashed piece by piece.)
 */
export async function signSliced(hash: string | null, data: Uint8Array, key: KeyObject): Promise<Uint8Array> {
  if (hash === null) return signInPool(hash, data, key);
  const signing = createSign(hash);
  await feed(signing, data);
  return signing.sign(key);
}

export async function verifySliced(
  hash: string | null,
  data: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): Promise<boolean> {
  if (data.length < LONG_BYTES) return verify(hash, data, key, signature);
  if (hash === null) return verifyInPool(hash, data, key, signature);
  const verifying = createVerify(hash);
  await feed(verifying, data);
  return verifying.verify(key, signature);
}

async function feed(into: { update(data: Uint8Array): unknown }, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length; at += SLICE_BYTES) {
    into.update(data.subarray(at, at + SLICE_BYTES));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
