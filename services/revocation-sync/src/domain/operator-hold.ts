import { type Hold, operatorCause } from './deny-state.ts';

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
