import type { Client } from 'aedes';
import type { PolicyOf } from '../domain/account/account-policy.ts';
import { isShared, mayReceive, subscribeRefusal } from '../domain/topic/topic-rules.ts';
import type { ClientRefusals } from './refusals.ts';
import { type Session, type Subscription, sessionOf } from './session.ts';

export type SubscriptionPolicyParts = {
  readonly limits: { readonly subscriptions: number };
  readonly policyOf: PolicyOf;
};

/** Decides what a device may subscribe to, and which topics it may be sent. */
export class SubscriptionPolicy {
  readonly #parts: SubscriptionPolicyParts;
  readonly #refusals: ClientRefusals;

  constructor(parts: SubscriptionPolicyParts, refusals: ClientRefusals) {
    this.#parts = parts;
    this.#refusals = refusals;
  }

  maySubscribe(client: Client, { topic: filter, qos }: { topic: string; qos: number }): boolean {
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
    session.subscriptions.set(filter, { filter, qos: qos === 2 ? 2 : qos === 1 ? 1 : 0 });
    return true;
  }

  /** What the device had subscribed to before, as far as it may have it now. */
  restore(session: Session, subscriptions: readonly Subscription[]): void {
    for (const { filter, qos } of subscriptions)
      if (subscribeRefusal(session.owner, filter) === undefined)
        session.subscriptions.set(filter, { filter, qos });
  }

  /** Asked for each message. */
  mayReceive(session: Pick<Session, 'owner'>, topic: string): boolean {
    return mayReceive(session.owner, topic) && this.#isAllowed(session, topic);
  }

  #isAllowed({ owner }: Pick<Session, 'owner'>, topic: string): boolean {
    return !isShared(topic) || this.#parts.policyOf(owner.account).shared;
  }
}
