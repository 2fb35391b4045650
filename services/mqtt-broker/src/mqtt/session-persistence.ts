import { Readable } from 'node:stream';
import type { SessionStore, StoredMessage, StoredWill } from '../domain/session/session-store.ts';
import { type Session, sessionOf } from './session.ts';

/** Stands for a session without subscriptions: by these alone aedes tells whether there was a session. */
export const SESSION_MARK = '$session';

type Client = Parameters<typeof sessionOf>[0] & { readonly id: string };
type Sub = { readonly topic: string };
type Will = { topic: string; payload: Buffer | string; qos?: number; clientId?: string; brokerId?: string };

export type SessionPersistenceParts = {
  readonly store: SessionStore;
  /** This node, as wills name it. */
  readonly node: string;
  readonly sessionOf: (key: string) => Session | undefined;
};

/**
 * What aedes takes for its persistence. What leaves for devices is no affair of aedes, so its queues are empty here; the
 * rest is kept in the session record.
 */
export function sessionPersistence({ store, node, sessionOf: sessionOfKey }: SessionPersistenceParts) {
  const storing = new WeakMap<object, Promise<void>>();
  return {
    // aedes looks at the kind of this function
    setup: async () => {},
    destroy: async () => {},

    subscriptionsByClient: async ({ id }: { id: string }) =>
      sessionOfKey(id)?.isPresent === true ? [{ topic: SESSION_MARK, qos: 0 }] : [],

    /** Called once for each filter, each time with all of them: those that were granted are stored, once. */
    addSubscriptions(client: Client, subs: readonly Sub[]): Promise<void> {
      const known = storing.get(subs);
      if (known !== undefined) return known;
      const stored = (async () => {
        // until all of them have been decided on
        await Promise.resolve();
        const session = sessionOf(client);
        const { outbox: { durable } = {}, subscriptions, key } = session ?? {};
        if (durable === undefined || key === undefined) return;
        const filters = new Set(subs.map(({ topic }) => topic));
        const granted = [...filters].flatMap((filter) => subscriptions?.get(filter) ?? []);
        await store.subscribe(key, durable.epoch, granted);
      })();
      storing.set(subs, stored);
      return stored;
    },

    async removeSubscriptions(client: Client, filters: readonly string[]): Promise<void> {
      const { key, outbox } = sessionOf(client) ?? {};
      if (key !== undefined && outbox?.durable !== undefined)
        await store.unsubscribe(key, outbox.durable.epoch, filters);
    },

    // the session was opened, or ended, before aedes asks
    cleanSubscriptions: async () => {},
    cleanIncoming: async () => {},
    subscriptionsByTopic: async () => [],
    outgoingEnqueue: async () => {},
    outgoingEnqueueCombi: async () => {},
    outgoingUpdate: async () => {},
    outgoingClearMessageId: async () => undefined,
    outgoingStream: () => Readable.from([]),
    countOffline: async () => ({ subsCount: 0, clientsCount: 0 }),

    /** Of a QoS 2 message only its identifier is kept: its payload is on the bus. */
    async incomingStorePacket(client: Client, { messageId }: { messageId: number }): Promise<void> {
      const { key, outbox, unreleased, receiving } = sessionOf(client) ?? {};
      if (key === undefined || unreleased === undefined) return;
      if (outbox?.durable !== undefined) await store.receive(key, outbox.durable.epoch, messageId);
      unreleased.add(messageId);
      receiving?.delete(messageId);
    },
    async incomingGetPacket(client: Client, { messageId }: { messageId: number }): Promise<object> {
      if (sessionOf(client)?.unreleased.has(messageId) !== true) throw new Error('no such packet');
      return {};
    },
    async incomingDelPacket(client: Client, { messageId }: { messageId: number }): Promise<void> {
      const session = sessionOf(client);
      if (session === undefined) return;
      const { key, outbox, unreleased, releasing } = session;
      releasing.add(messageId);
      try {
        if (outbox.durable !== undefined) await store.release(key, messageId);
        unreleased.delete(messageId);
      } finally {
        releasing.delete(messageId);
      }
    },

    storeRetained: async () => {},
    createRetainedStreamCombi: () => Readable.from([]),
    createRetainedStream: () => Readable.from([]),

    async putWill(client: Client, will: Will): Promise<void> {
      const session = sessionOf(client);
      if (session === undefined) return;
      session.will = will;
      await store.putWill({ ...willOf(will), key: session.key, session: session.id, node });
    },
    // dropped where it has been published, or needs not be
    delWill: async () => undefined,
    /** Wills of nodes that do not live any more, and of connections that have gone without theirs. */
    streamWill: (nodes: Readonly<Record<string, unknown>>) => Readable.from(leftWills(nodes)),
  };

  async function* leftWills(nodes: Readonly<Record<string, unknown>>) {
    for (const will of await store.wills()) {
      const isLive = will.node === node ? isOfSession(will) : nodes[will.node] !== undefined;
      // aedes reads the node from `brokerId`, and hands the whole to who publishes it
      if (!isLive) yield { cmd: 'publish', ...will, clientId: will.key, brokerId: will.node };
    }
  }

  function isOfSession({ key, session }: StoredWill): boolean {
    return sessionOfKey(key)?.id === session;
  }
}

function willOf({ topic, payload, qos }: Will): StoredMessage {
  return { topic, payload: Buffer.from(payload), qos: qos === 2 ? 2 : qos === 1 ? 1 : 0 };
}
