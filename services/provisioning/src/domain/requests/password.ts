import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';

/** scrypt of a password with its salt, both hex; the password itself is never kept. */
export const PasswordHash = z.object({ hash: z.string(), salt: z.string() });
export type PasswordHash = z.infer<typeof PasswordHash>;

const derive = promisify<string, string, number, Buffer>(scrypt);

/** Takes some 50 ms of another thread. */
export async function hashPassword(
  password: string,
  salt: string = randomBytes(16).toString('hex'),
): Promise<PasswordHash> {
  return { hash: (await derive(password, salt, 32)).toString('hex'), salt };
}

export async function isPassword({ hash, salt }: PasswordHash, password: string): Promise<boolean> {
  const given = await hashPassword(password, salt);
  return timingSafeEqual(Buffer.from(given.hash, 'hex'), Buffer.from(hash, 'hex'));
}

const LETTERS = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789';

/** 32 letters and digits that nobody mistakes for each other, in groups of four: 158 random bits. */
export function randomActivationKey(): string {
  const chars: string[] = [];
  while (chars.length < 32) {
    // 248 is the last multiple of 31 in a byte: beyond it some letters would be likelier than others
    const fair = [...randomBytes(40)].filter((byte) => byte < 248);
    chars.push(...fair.map((byte) => LETTERS[byte % LETTERS.length] ?? ''));
  }
  return chars
    .slice(0, 32)
    .join('')
    .replace(/(.{4})(?=.)/g, '$1-');
}
