import type { Logger } from '@signet/service';
import type { PolicyOf } from '../domain/account/account-policy.ts';
import type { QueueLimits, SessionStore, StoredMessage } from '../domain/session/session-store.ts';
import { grantedQos, type Owner, ownerOfKey, sessionKey, topicMatches } from '../domain/topic/topic-rules.ts';
import type { Outbox } from './outbox.ts';
import type { Session } from './session.ts';
import type { Serial, SessionRegistry } from './session-registry.ts';

export type DownlinkParts = {
  readonly log: Logger;
  readonly store: SessionStore;
  readonly policyOf: PolicyOf;
  readonly counted: (account: string, direction: 'dropped', count?: number) => void;
  readonly limits: {
    /** What waits for one device, connected or not. */
    readonly waiting: QueueLimits;
  };
  /** This node, as sessions name it. */
  readonly node: string;
  /** Tells another node that there is more in the queue of a session that it has. */
  readonly tell: (node: string, key: string) => Promise<void>;
};

/** Takes messages from the bus to devices: to the connection that has the session, else into the queue of the session. */
export class Downlink {
  readonly #parts: DownlinkParts;
  readonly #registry: SessionRegistry;
  readonly #serial: Serial;
  /** Whose connections have ended, until what they leave is in the queue: what came before that is theirs. */
  readonly #closing = new Map<string, Outbox>();

  constructor(parts: DownlinkParts, registry: SessionRegistry, serial: Serial) {
    this.#parts = parts;
    this.#registry = registry;
    this.#serial = serial;
  }

  /** A plain message. It is with the device, or in its queue, or it is lost; the log says so. */
  async deliver(owner: Owner, topic: string, bytes: Uint8Array): Promise<void> {
    const key = sessionKey(owner);
    const payload = Buffer.from(bytes);
    // behind what came before it
    if (!this.#serial.isBusy(key) && this.#push(key, topic, payload)) return;
    try {
      await this.#serial.run(key, () => this.#queue(key, topic, payload));
    } catch (error) {
      this.#parts.log.warn({ err: error, ...owner, topic }, 'mqtt: failed to deliver a message; it is lost');
      this.#parts.counted(owner.account, 'dropped');
    }
  }

  /**
   * A message that may not be lost: resolves once it is in the queue of its session, or sent if the session has none. `id`
   * tells it from others where it may come again.
   * @returns whether it is done: false where this node has no session that takes it
   * @throws SessionStoreError: it is to be tried again
   */
  put(owner: Owner, topic: string, bytes: Uint8Array, id?: string, isLast = false): Promise<boolean> {
    const key = sessionKey(owner);
    const payload = Buffer.from(bytes);
    return this.#serial.run(key, () => this.#put(key, { topic, payload, qos: 1 }, id, isLast));
  }

  /** The connection has ended: what its device had not got goes into the queue, behind what came before. */
  async close({ key, outbox }: Session): Promise<void> {
    this.#closing.set(key, outbox);
    await this.#serial.run(key, () => outbox.close());
    if (this.#closing.get(key) === outbox) this.#closing.delete(key);
  }

  /** There is more in the queue of this session: another node put it there. */
  refresh(key: string): void {
    void this.#registry.get(key)?.outbox.refresh();
  }

  /** Tells it to all devices of the account that are connected here. */
  deliverShared(account: string, topic: string, bytes: Uint8Array): void {
    const { policyOf, log, store } = this.#parts;
    const { shared, retainShared: retain } = policyOf(account);
    if (!shared) return;
    const payload = Buffer.from(bytes);
    for (const { outbox } of this.#registry.ofAccount(account)) outbox.push(topic, payload, { qos: 0 });
    if (!retain) return;
    store.retain(account, { topic, payload, qos: 0, retain: true }).catch((error: unknown) => {
      log.warn({ err: error, account, topic }, 'mqtt: failed to retain a shared message');
    });
  }

  /** What its account shares and retains, to a device that has just subscribed (3.1.1 §3.8.4). */
  async sendRetained({ owner, outbox }: Session, filters: readonly string[]): Promise<void> {
    const { store, log } = this.#parts;
    try {
      const retained = await store.retained(owner.account);
      for (const filter of filters)
        for (const { topic, payload } of retained)
          if (topicMatches(filter, topic)) outbox.push(topic, payload, { qos: 0, retain: true });
    } catch (error) {
      log.warn({ err: error, ...owner }, 'mqtt: failed to read retained messages');
    }
  }

  /** Gives it to the connection that has the session. False: there is none. */
  #push(key: string, topic: string, payload: Buffer): boolean {
    const closing = this.#closing.get(key);
    const outbox = closing?.isOpen === true ? closing : this.#registry.get(key)?.outbox;
    if (outbox?.isOpen !== true) return false;
    if (!outbox.push(topic, payload)) this.#drop(key, topic);
    return true;
  }

  async #queue(key: string, topic: string, payload: Buffer): Promise<void> {
    if (this.#push(key, topic, payload)) return;
    const record = await this.#parts.store.find(key);
    if (record === undefined || (grantedQos(record.subscriptions, topic) ?? 0) === 0) return;
    await this.#append(key, record.epoch, { topic, payload, qos: 1 });
  }

  async #put(key: string, message: StoredMessage, id: string | undefined, isLast: boolean): Promise<boolean> {
    const { store } = this.#parts;
    const { topic, payload } = message;
    const session = this.#registry.get(key);
    if (session?.outbox.isLive === true) return await this.#putLive(key, session, message, id);
    const record = await (isLast || session !== undefined ? store.adopt(key) : store.find(key));
    const granted = record && grantedQos(record.subscriptions, topic);
    if (record !== undefined && granted !== undefined && granted > 0) {
      await this.#append(key, record.epoch, message, id);
      return true;
    }
    if (record !== undefined && granted === undefined) return true;
    // who is connecting may have it, if only with QoS 0, or in a session that ends with the connection
    return session !== undefined && this.#push(key, topic, payload);
  }

  async #putLive(
    key: string,
    { outbox, granted }: Session,
    message: StoredMessage,
    id: string | undefined,
  ): Promise<boolean> {
    const { topic, payload } = message;
    const qos = granted(topic);
    if (outbox.durable === undefined || (qos ?? 0) === 0) {
      this.#push(key, topic, payload);
      return true;
    }
    if (outbox.hasRoom(payload.length)) {
      outbox.expect();
      await this.#append(key, outbox.durable.epoch, message, id, true);
    } else this.#drop(key, topic);
    return true;
  }

  async #append(
    key: string,
    epoch: string,
    message: StoredMessage,
    id?: string,
    isSent = false,
  ): Promise<void> {
    const { store, limits, node } = this.#parts;
    const options = { limits: limits.waiting, isSent, ...(id === undefined ? {} : { id }) };
    const appended = await store.append(key, epoch, message, options);
    if (appended.outcome === 'full') this.#drop(key, message.topic);
    if (!('node' in appended)) return;
    if (appended.node === undefined || appended.node === node) this.refresh(key);
    else await this.#parts.tell(appended.node, key);
  }

  #drop(key: string, topic: string): void {
    const { log, counted, limits } = this.#parts;
    const owner = ownerOfKey(key);
    log.warn(
      { ...owner, topic, ...limits.waiting },
      'mqtt: the queue of a device is full; dropped a message',
    );
    if (owner !== undefined) counted(owner.account, 'dropped');
  }
}
