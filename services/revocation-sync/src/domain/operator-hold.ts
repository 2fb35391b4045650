import type { Hold } from './deny-state.ts';

/** Under what operators of an account deny and lift: a lift takes away what they said, never what a revocation did. */
export function operatorCause(account: string): string {
  return `operators of ${account}`;
}

/** What an operator's denial comes to. `now` in Unix ms. */
export function operatorHold(
  asked: {
    readonly account: string;
    readonly by: string;
    readonly reason: string;
    readonly expiresAt?: number | undefined;
    readonly askedAt?: string | undefined;
  },
  now: number,
): Hold {
  const { account, by, reason, expiresAt = 0, askedAt = new Date(now).toISOString() } = asked;
  return {
    cause: operatorCause(account),
    source: `operator ${by}`,
    account,
    reason,
    expiresAt,
    since: askedAt,
  };
}
