import type { AuthorityDocument } from './authority.ts';
import { AuthorityError } from './authority-error.ts';
import type { AuthorityRequests } from './authority-request.ts';

export type BoundDeps = {
  readonly requests: Pick<AuthorityRequests, 'count'>;
  /** How many CAs an account may have on record, revoked ones and open requests among them. */
  readonly maxPerAccount: number;
};

/**
 * Every listener holds every CA in memory, and every replica keeps their CRLs up to date: an account must not have any
 * number of them.
 * @throws AuthorityError `too-many-authorities`
 */
export async function requireRoom(
  { requests, maxPerAccount }: BoundDeps,
  account: string,
  existing: readonly AuthorityDocument[],
  more = 1,
): Promise<void> {
  const open = await requests.count({ index: 'account', equals: { account } });
  if (existing.length + open + more <= maxPerAccount) return;
  throw new AuthorityError(
    'too-many-authorities',
    `account: "${account}" has ${existing.length} CAs and ${open} requests, at most ${maxPerAccount} are kept`,
  );
}
