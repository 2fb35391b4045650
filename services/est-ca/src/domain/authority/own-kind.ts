import type { AuthorityKind } from '@signet/contracts';
import type { AuthorityDocument } from './authority.ts';

/**
 * CAs of an account by which it has a kind of its own: once it had one, the platform's does not step in by itself,
 * whatever becomes of that one. One whose key the account keeps issues nothing here, and counts for nothing.
 */
export function ownOfKind(
  existing: readonly AuthorityDocument[],
  kind: AuthorityKind,
): readonly AuthorityDocument[] {
  return existing.filter((document) => document.kind === kind && document.custody !== 'elsewhere');
}

/** Whether the platform's CA of a kind issues for an account that has these: none, or an operator said so of each. */
export function platformServes(own: readonly AuthorityDocument[]): boolean {
  return own.every(({ fallBack }) => fallBack !== undefined);
}
