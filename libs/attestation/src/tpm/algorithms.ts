import { AttestationError } from '../attestation-error.ts';

/** TPM_ALG_ID (TCG Algorithm Registry). */
export const ALG = {
  RSA: 0x0001,
  SHA1: 0x0004,
  AES: 0x0006,
  KEYEDHASH: 0x0008,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECDAA: 0x001a,
  ECC: 0x0023,
  CFB: 0x0043,
} as const;

/** TPM_ECC_CURVE. */
export const CURVE = { P256: 0x0003, P384: 0x0004 } as const;

export type HashName = 'sha256' | 'sha384' | 'sha512';

const hashes = new Map<number, { readonly name: HashName; readonly bytes: number }>([
  [ALG.SHA256, { name: 'sha256', bytes: 32 }],
  [ALG.SHA384, { name: 'sha384', bytes: 48 }],
  [ALG.SHA512, { name: 'sha512', bytes: 64 }],
]);

/** The hash of that id; SHA-1 and weaker are not among them. @throws AttestationError `unsupported-algorithm` */
export function hashOf(id: number, field: string): { readonly name: HashName; readonly bytes: number } {
  const found = hashes.get(id);
  if (found === undefined) throw unsupported(field, 'hash', id);
  return found;
}

export function unsupported(field: string, kind: string, id: number): AttestationError {
  const hex = id.toString(16).padStart(4, '0');
  return new AttestationError('unsupported-algorithm', `${field}: ${kind} 0x${hex} is not supported`);
}
