import type { HeldSubscription, Persistence } from '../domain/session-store.ts';
import { mayHold, ownerOfTopic, sessionKey, topicMatches } from '../domain/topic-rules.ts';

/**
 * Holds a persistence to the topic rules. Aedes stores all filters of a SUBSCRIBE if one of them is allowed: here only
 * those are stored that the device may hold. And since a device topic has one possible subscriber, it is looked up by
 * that device's id: exact on every node, with nothing to be told among nodes. Where that fails nothing is queued (aedes
 * would neither go on nor say so), and whoever is connected still gets the message.
 */
export function byTopicRules(inner: Persistence): Persistence {
  return Object.assign(Object.create(inner), {
    addSubscriptions: (client: { id: string }, held: readonly HeldSubscription[]) =>
      inner.addSubscriptions(
        client,
        held.filter(({ topic }) => mayHold(client.id, topic)),
      ),
    async subscriptionsByTopic(topic: string) {
      const owner = ownerOfTopic(topic);
      if (owner === undefined) return [];
      const clientId = sessionKey(owner);
      const held = await inner.subscriptionsByClient({ id: clientId }).catch(() => []);
      const match = held.find(({ topic: filter, qos }) => qos > 0 && topicMatches(filter, topic));
      return match === undefined ? [] : [{ ...match, clientId }];
    },
  });
}
