import type { Bus, Subscription } from '@signet/bus';
import { departureOf, departureTypes, identifyDevices } from '@signet/contracts';
import { whenServed } from '@signet/service';
import type { SessionStore } from '../domain/session/session-store.ts';
import { sessionKey } from '../domain/topic/topic-rules.ts';

/** Two hours at the longest backoff: for so long an event waits for the sessions before it is a dead letter. */
const maxDeliveries = 240;

/**
 * A device left its account: its session ends, with the commands that wait in it and what it subscribed to. Where the
 * account has a device of that name again by now, the session may be that one's, and stays.
 */
export function followDepartures(parts: {
  readonly bus: Bus;
  readonly store: Pick<SessionStore, 'adopt' | 'end'>;
  readonly node: string;
}): Promise<Subscription> {
  const { bus, store, node } = parts;
  return bus.consume(
    { durable: 'mqtt-broker-departures', types: [...departureTypes], ordered: true, maxDeliveries },
    async (event) => {
      const departure = departureOf(event);
      if (departure === undefined) return;
      const { account, deviceId, at } = departure;
      const key = sessionKey({ account, deviceId });
      if ((await store.adopt(key)) === undefined) return;
      const { devices } = await whenServed(() =>
        bus.request(identifyDevices, { account, deviceIds: [deviceId] }),
      );
      if (devices.some(({ claimedAt }) => claimedAt !== undefined && claimedAt >= at)) return;
      await store.end(key, node);
    },
  );
}
