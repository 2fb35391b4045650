import { addressGroup } from '@signet/service';
import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { AttemptLimit } from '../domain/connect/connect-decision.ts';

/** So many attempts a minute, counted over all nodes where there is Redis; while Redis is unavailable, by each node alone. */
export function attemptsPerMinute(name: string, points: number, redis: Redis | undefined): AttemptLimit {
  const alone = new RateLimiterMemory({ keyPrefix: name, points, duration: 60 });
  const limiter =
    redis === undefined
      ? alone
      : new RateLimiterRedis({
          storeClient: redis,
          keyPrefix: `rate:${name}`,
          points,
          duration: 60,
          insuranceLimiter: alone,
          rejectIfRedisNotReady: true,
        });
  return {
    async allows(key) {
      try {
        await limiter.consume(key);
        return true;
      } catch (reason) {
        if (reason instanceof RateLimiterRes) return false;
        throw reason;
      }
    },
  };
}

/** Counts an IPv6 address by its /64. */
export function byNetwork(limit: AttemptLimit): AttemptLimit {
  return { allows: (address) => limit.allows(addressGroup(address)) };
}
