import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Time } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';
import { Budget } from '../budget/budget.ts';
import { RoleGrant } from './permission.ts';

/** An API token as it is kept: its secret only as SHA-256 (256 random bits need no slow hash). */
export const ApiToken = z.object({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  name: z.string().min(1).max(128),
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  grants: z.array(RoleGrant).min(1).max(64),
  /** Only with the roles `factory`, `installer` and `registrar`. */
  budget: Budget.optional(),
  createdAt: Time,
  createdBy: z.string(),
  expiresAt: Time.optional(),
  revokedAt: Time.optional(),
});
export type ApiToken = z.infer<typeof ApiToken>;

export const apiTokens = {
  name: 'admin-api.tokens',
  schema: ApiToken,
  indexes: {},
} as const satisfies CollectionSpec<ApiToken>;

/** Who calls: the token's id and name, what it may do, and how often. */
export type Operator = Pick<ApiToken, 'id' | 'name' | 'grants' | 'budget'>;

/** What a token looks like, in words. */
export const TOKEN_FORM = 'an API token: sgn_<16 hex>_<43 base64url>';

const PATTERN = /^sgn_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

/** A new token in clear, to be shown once. */
export function newToken(): string {
  return `sgn_${randomBytes(8).toString('hex')}_${randomBytes(32).toString('base64url')}`;
}

/** The id and the secret's hash of a token in clear, or undefined where it is none. */
export function readToken(text: string): { id: string; secretHash: string } | undefined {
  const [, id, secret] = PATTERN.exec(text) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  return { id, secretHash: createHash('sha256').update(secret).digest('hex') };
}

/** The operator whom a presented token stands for, if it is genuine and live. */
export function operatorOf(
  kept: ApiToken | undefined,
  presentedHash: string,
  now: number,
): Operator | undefined {
  if (kept === undefined || kept.revokedAt !== undefined) return undefined;
  if (kept.expiresAt !== undefined && Date.parse(kept.expiresAt) <= now) return undefined;
  const isGenuine = timingSafeEqual(Buffer.from(kept.secretHash, 'hex'), Buffer.from(presentedHash, 'hex'));
  if (!isGenuine) return undefined;
  const { id, name, grants, budget } = kept;
  return { id, name, grants, ...(budget === undefined ? {} : { budget }) };
}
