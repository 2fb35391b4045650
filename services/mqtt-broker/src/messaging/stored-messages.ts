import { randomUUID } from 'node:crypto';
import type { Logger } from '@signet/service';
import type { SessionStore } from '../domain/session-store.ts';
import { type Owner, sessionKey, topicMatches } from '../domain/topic-rules.ts';

/** A message as aedes and its persistence know it; both tell one from the other by its first two fields. */
export type StoredPacket = {
  readonly brokerId: string;
  readonly brokerCounter: number;
  readonly cmd: 'publish';
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 1;
  readonly retain: false;
  readonly dup: false;
};

export type StoredMessagesParts = {
  readonly store: SessionStore;
  readonly log: Logger;
  /** Whether so many octets more may wait for this session. */
  readonly hasRoom: (key: string, bytes: number) => Promise<boolean>;
  /** Hands it to the client of this session, if that is connected here; after what waited for it before. */
  readonly emit: (key: string, packet: StoredPacket) => void;
  /** A message was dropped for want of room. */
  readonly dropped: (account: string) => void;
};

/** Puts messages that may not be lost into the queues of their devices, on whichever node those are. */
export class StoredMessages {
  readonly #parts: StoredMessagesParts;
  readonly #id = randomUUID();
  #counter = 0;

  constructor(parts: StoredMessagesParts) {
    this.#parts = parts;
  }

  /**
   * Resolves once it is in the device's queue, and on its way if the device is connected here. A device whose session
   * holds no subscription to it gets it if it is connected and has subscribed, as MQTT wants; what there is no room for
   * is dropped and counted.
   * @returns whether its session has a queue for it
   * @throws where the sessions cannot be reached: it is to be tried again
   */
  async put(owner: Owner, topic: string, payload: Uint8Array): Promise<boolean> {
    const { store, hasRoom, emit, dropped, log } = this.#parts;
    const key = sessionKey(owner);
    const held = await store.persistence.subscriptionsByClient({ id: key });
    const match = held.find(({ topic: filter, qos }) => qos > 0 && topicMatches(filter, topic));
    const packet: StoredPacket = {
      ...{ brokerId: this.#id, brokerCounter: ++this.#counter, cmd: 'publish', qos: 1 },
      ...{ topic, payload: Buffer.from(payload), retain: false, dup: false },
    };
    if (match !== undefined) {
      if (!(await hasRoom(key, payload.length))) {
        log.warn({ ...owner, topic }, 'mqtt: too much waits for it, a message dropped');
        dropped(owner.account);
        return true;
      }
      await store.persistence.outgoingEnqueueCombi([{ ...match, clientId: key }], packet);
    }
    emit(key, packet);
    return match !== undefined;
  }
}
