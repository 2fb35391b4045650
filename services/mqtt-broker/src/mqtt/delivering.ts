import type { Logger } from '@signet/service';
import type { PolicyOf } from '../domain/account-policy.ts';
import type { SessionStore } from '../domain/session-store.ts';
import { type Owner, sessionKey } from '../domain/topic-rules.ts';
import type { SessionHolders } from './session-holders.ts';
import type { StrictAedes } from './strict-aedes.ts';
import type { WaitingLimits, WaitingMessages } from './waiting-messages.ts';

export type DeliveringParts = {
  readonly log: Logger;
  readonly store: SessionStore;
  readonly policyOf: PolicyOf;
  readonly counted: (account: string, direction: 'dropped') => void;
  readonly limits: {
    /** What waits for one device; octets where it is away. */
    readonly waiting: WaitingLimits;
  };
};

/** What comes from the bus for devices whose sessions are here. */
export class Delivering {
  readonly #parts: DeliveringParts;
  readonly #aedes: StrictAedes;
  readonly #holders: SessionHolders;
  readonly #waiting: WaitingMessages;

  constructor(parts: DeliveringParts, aedes: StrictAedes, holders: SessionHolders, waiting: WaitingMessages) {
    this.#parts = parts;
    this.#aedes = aedes;
    this.#holders = holders;
    this.#waiting = waiting;
  }

  /** Hands a message to the device, if its session lives here or waits for it. */
  async deliver(owner: Owner, topic: string, payload: Uint8Array): Promise<void> {
    const { store, limits, log } = this.#parts;
    try {
      const failure = store.failure();
      if (failure !== undefined)
        log.warn({ ...owner, failure }, 'mqtt: a message cannot wait for its device');
      else if (!(await this.hasRoom(sessionKey(owner), payload.length))) {
        log.warn({ ...owner, ...limits.waiting }, 'mqtt: too much waits for it, a message dropped');
        this.#parts.counted(owner.account, 'dropped');
        return;
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const packet = { cmd: 'publish', qos: 1, retain: false, dup: false } as const;
      this.#aedes.publish({ ...packet, topic, payload: Buffer.from(payload) }, (error) =>
        error ? reject(error) : resolve(),
      );
      await promise;
    } catch (error) {
      log.warn({ err: error, ...owner, topic }, 'mqtt: a message was not delivered');
    }
  }

  /** Whether so much more may wait for it. A device that is here acknowledges as it goes; for one that is away it is counted. */
  async hasRoom(key: string, bytes: number): Promise<boolean> {
    const { store, limits } = this.#parts;
    if (this.#holders.get(key)?.isConnected !== true) return await this.#waiting.admits(key, bytes);
    return (await store.queued(key)) < limits.waiting.messages;
  }

  /** Tells it to all devices of the account that are connected here. */
  deliverShared(account: string, topic: string, payload: Uint8Array): void {
    const { policyOf, log } = this.#parts;
    const { shared, retainShared: retain } = policyOf(account);
    if (!shared) return;
    const packet = { cmd: 'publish', qos: 0, retain, dup: false } as const;
    this.#aedes.publish({ ...packet, topic, payload: Buffer.from(payload) }, (error?: Error) => {
      if (error) log.warn({ err: error, account, topic }, 'mqtt: a shared message was not delivered');
    });
  }
}
