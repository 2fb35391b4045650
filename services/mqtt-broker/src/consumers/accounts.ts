import type { Bus, Subscription } from '@signet/bus';
import { followDeletions } from '@signet/service';
import type { Collections } from '../collections.ts';
import type { SessionStore } from '../domain/session/session-store.ts';

/** Removes what the broker keeps of a deleted account: sessions with the messages that wait in them, and its policy. */
export function eraseDeletedAccounts(parts: {
  readonly bus: Pick<Bus, 'consume'>;
  readonly store: Pick<SessionStore, 'erase'>;
  /** Rejects while the store is unavailable. */
  readonly collections: () => Promise<Collections>;
  readonly node: string;
}): Promise<Subscription> {
  const { bus, store, collections, node } = parts;
  return followDeletions(bus, 'mqtt-broker', {
    erasures: [
      (account) => store.erase(account, node),
      async (account) => ((await (await collections()).policies.remove(account)) ? 1 : 0),
    ],
  });
}
