import type { Msg, Subscription as NatsSubscription } from '@nats-io/nats-core';
import type { Subscription } from '../bus.ts';
import type { Link } from './link.ts';

/**
 * A core subscription; the client library renews it at each reconnection. While there never was a connection it
 * resolves at once, and subscribes when there is one.
 */
export async function subscribe(
  link: Link,
  subject: string,
  options: {
    readonly queue?: string;
    onMessage(message: Msg): void;
    /** Messages may have been missed: {@link Link.onReconnect}. */
    readonly onGap?: ((renewed: Promise<void>) => void) | undefined;
    /** Ends it and resolves once nothing of it is in flight. */
    drained(subscription: NatsSubscription): Promise<void>;
  },
): Promise<Subscription> {
  const ended = new AbortController();
  const forget = options.onGap === undefined ? () => {} : link.onReconnect(options.onGap);
  const subscribed = (async () => {
    const { nc } = await link.connected(ended.signal);
    const subscription = nc.subscribe(subject, {
      ...(options.queue === undefined ? {} : { queue: options.queue }),
      callback: (error, message) => {
        if (error === null) options.onMessage(message);
      },
    });
    if (link.up) await nc.flush();
    return subscription;
  })();
  subscribed.catch(() => {});
  if (link.up) await subscribed;
  return {
    async [Symbol.asyncDispose]() {
      ended.abort();
      forget();
      const subscription = await subscribed.catch(() => undefined);
      if (subscription !== undefined && !subscription.isClosed()) await options.drained(subscription);
    },
  };
}
