declare module 'aedes-persistence-redis' {
  import type { Redis } from 'ioredis';

  /** `packetTTL`: how long a queued packet is kept, s; 0 for ever. */
  // biome-ignore lint/style/noDefaultExport: it is what the package exports
  export default function redisPersistence(options: {
    readonly conn: Redis;
    readonly packetTTL?: (packet: unknown) => number;
    readonly maxSessionDelivery?: number;
  }): object;
}
