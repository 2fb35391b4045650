import type { Client } from 'aedes';
import type { PolicyOf } from '../domain/account-policy.ts';
import { isShared, mayReceive, subscribeRefusal } from '../domain/topic-rules.ts';
import type { ClientRefusals } from './client-refusals.ts';
import { type Session, sessionOf } from './session.ts';

export type ReceivingParts = {
  readonly limits: {
    readonly subscriptions: number;
    /** Octets that a device has not read from its connection. */
    readonly unsentBytes: number;
  };
  readonly policyOf: PolicyOf;
  readonly counted: (account: string, direction: 'down') => void;
};

/** What devices subscribe to, and what leaves for them. */
export class Receiving {
  readonly #parts: ReceivingParts;
  readonly #refusals: ClientRefusals;

  constructor(parts: ReceivingParts, refusals: ClientRefusals) {
    this.#parts = parts;
    this.#refusals = refusals;
  }

  maySubscribe(client: Client, filter: string): boolean {
    const session = sessionOf(client);
    const { subscriptions: most } = this.#parts.limits;
    if (session === undefined) return false;
    const shown = filter.slice(0, 100);
    const refusal =
      subscribeRefusal(session.owner, filter) ??
      (this.#isAllowed(session, filter) ? undefined : 'is shared, which its account does not allow');
    if (refusal !== undefined) {
      this.#refusals.note(client, 'topic-not-allowed', `subscribe: "${shown}" ${refusal}`);
      return false;
    }
    if (session.subscriptions.size >= most && !session.subscriptions.has(filter)) {
      this.#refusals.note(client, 'topic-not-allowed', `subscribe: more than ${most}, one is "${shown}"`);
      return false;
    }
    session.subscriptions.add(filter);
    return true;
  }

  /** Asked for each message. A device that does not read what it is sent holds nobody up: its session ends. */
  mayLeave(client: Client, topic: string): boolean {
    const session = sessionOf(client);
    if (session === undefined) return false;
    if (!mayReceive(session.owner, topic) || !this.#isAllowed(session, topic)) return false;
    if (session.socket.writableLength > this.#parts.limits.unsentBytes) {
      session.endedBy ??= 'slow-consumer';
      client.close();
      return false;
    }
    this.#parts.counted(session.owner.account, 'down');
    return true;
  }

  #isAllowed({ owner }: Session, topic: string): boolean {
    return !isShared(topic) || this.#parts.policyOf(owner.account).shared;
  }
}
