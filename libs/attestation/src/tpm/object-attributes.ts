import { AttestationError } from '../attestation-error.ts';

/** TPMA_OBJECT (Part 2 §8.3). */
export const ATTRIBUTE = {
  fixedTPM: 1 << 1,
  stClear: 1 << 2,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  noDA: 1 << 10,
  encryptedDuplication: 1 << 11,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
} as const;
export type ObjectAttribute = keyof typeof ATTRIBUTE;

/**
 * Refuses an object that lacks one of `set` or has one of `clear`, naming it.
 * @throws AttestationError `wrong-attribute`
 */
export function requireAttributes(
  attributes: number,
  wanted: { readonly set: readonly ObjectAttribute[]; readonly clear: readonly ObjectAttribute[] },
  what: string,
): void {
  for (const name of wanted.set)
    if ((attributes & ATTRIBUTE[name]) === 0)
      throw new AttestationError('wrong-attribute', `${what}: attribute ${name} is missing`);
  for (const name of wanted.clear)
    if ((attributes & ATTRIBUTE[name]) !== 0)
      throw new AttestationError('wrong-attribute', `${what}: attribute ${name} must not be set`);
}

/** Made in this TPM, and never out of it (Part 1 §26.2: neither can be moved where both are fixed). */
export const IN_THIS_TPM = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin'] as const;
