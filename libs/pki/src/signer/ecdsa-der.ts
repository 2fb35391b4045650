import { sequence, unsignedInteger } from '../der/writer.ts';

/** Tokens and TPMs answer r and s one after the other, X.509 wants `Ecdsa-Sig-Value` (RFC 3279 §2.2.3). */
export function ecdsaDer(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  return new Uint8Array(
    sequence(unsignedInteger(raw.subarray(0, half)), unsignedInteger(raw.subarray(half))),
  );
}
