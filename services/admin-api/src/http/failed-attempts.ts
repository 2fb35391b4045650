import { addressGroup, Problem } from '@signet/service';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

/** Calls without a valid token that one address (IPv6: one /64) may make within a minute and still be told 401. */
export const ATTEMPTS_PER_MINUTE = 60;

/**
 * Counts failed authentications by address. It keeps floods out of log and audit; tokens of 256 bits need no help
 * against guessing, and a valid token is never turned away for what its neighbours do.
 */
export function failedAttempts(): (address: string) => Promise<void> {
  const limiter = new RateLimiterMemory({ points: ATTEMPTS_PER_MINUTE, duration: 60 });
  return async (address) => {
    try {
      await limiter.consume(addressGroup(address));
    } catch (limit) {
      if (!(limit instanceof RateLimiterRes)) throw limit;
      const retryAfter = Math.ceil(limit.msBeforeNext / 1000);
      throw new Problem(429, 'rate-limited', 'authorization: too many calls without a valid API token', {
        retryAfter,
      });
    }
  };
}
