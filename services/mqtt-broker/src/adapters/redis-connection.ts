import type { Logger } from '@signet/service';
import { Redis } from 'ioredis';

/** Connects, and goes on trying: until then, and while Redis is unavailable, commands fail within seconds. */
export function connectRedis(url: string, log: Logger): Redis {
  const redis = new QuietRedis(url, {
    keyPrefix: 'signet:',
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    commandTimeout: 5000,
    connectTimeout: 5000,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 2000),
  });
  let isTold = false;
  redis.on('error', (error) => {
    if (!isTold) log.error({ err: error }, 'Redis is unavailable; retrying');
    isTold = true;
  });
  redis.on('ready', () => {
    if (isTold) log.info('Redis is available again');
    isTold = false;
  });
  redis.connect().catch(() => {});
  return redis;
}

/** What reads the keys of version 0.1 starts commands without awaiting them: their failure must not end the process. */
class QuietRedis extends Redis {
  override sendCommand(...command: Parameters<Redis['sendCommand']>): unknown {
    const outcome = super.sendCommand(...command);
    if (outcome instanceof Promise) outcome.catch(() => {});
    return outcome;
  }
}
