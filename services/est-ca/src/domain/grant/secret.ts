import { createHash, randomBytes } from 'node:crypto';

/** A new grant: 160 random bits in hex, so that it passes unescaped through shells, URLs and a PrintableString. */
export function newSecret(): string {
  return randomBytes(20).toString('hex');
}

/** Whether a text has the form of a grant. */
export function isSecret(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/**
 * What is stored in place of the secret, and looked up by. A plain hash will do: 160 random bits cannot be guessed,
 * however fast the guesses are.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}
