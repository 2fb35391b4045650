import { admissionOf, type Logger } from '@signet/service';
import type { Client } from 'aedes';
import type { PolicyOf } from '../domain/account/account-policy.ts';
import {
  type AttemptLimit,
  type CheckCredentials,
  type Credentials,
  decideConnect,
  isLeftToTcp,
  returnCodeOf,
} from '../domain/connect/connect-decision.ts';
import type { OpenedSession, SessionStore } from '../domain/session/session-store.ts';
import type { Owner } from '../domain/topic/topic-rules.ts';
import { type ClientRefusals, connectRequestOf, Refused } from './refusals.ts';
import { type Session, sessionOf } from './session.ts';
import type { Serial, SessionRegistry } from './session-registry.ts';
import type { SubscriptionPolicy } from './subscription-policy.ts';

/** Where a device is reached, from when it connects until its session is given up or held by another node. */
export type Mailboxes = {
  /** Messages for this device come to this node once it resolves. */
  open(owner: Owner, options: { readonly clean: boolean }): Promise<void>;
  /** The connection for which it was opened has this claim to the session. */
  claimed(owner: Owner, claim: number): void;
  /** With `claim`, of another node: unless a later claim was made here. */
  close(owner: Owner, claim?: number): void;
};

export type ConnectHandlerParts = {
  readonly log: Logger;
  readonly connects: { readonly device: AttemptLimit; readonly address: AttemptLimit };
  readonly limits: {
    /** The longest keep-alive by which alone a device that is gone is found out. */
    readonly keepAliveSeconds: number;
    /** Of a will's payload. */
    readonly willBytes: number;
  };
  readonly policyOf: PolicyOf;
  readonly checkCredentials: CheckCredentials;
  readonly store: SessionStore;
  readonly mailboxes: Mailboxes;
  /** This node, as sessions name it. */
  readonly node: string;
  /** Has another node give up a session to which this one has the later claim. */
  readonly takeOver: (node: string, key: string, claim: number) => Promise<void>;
};

/** Handles CONNECT: limits, what it asks for, the second factor, then the session, which no other connection has after it. */
export class ConnectHandler {
  readonly #parts: ConnectHandlerParts;
  readonly #refusals: ClientRefusals;
  readonly #registry: SessionRegistry;
  readonly #serial: Serial;
  readonly #restore: SubscriptionPolicy['restore'];

  constructor(
    parts: ConnectHandlerParts,
    refusals: ClientRefusals,
    {
      registry,
      serial,
      subscriptionPolicy,
    }: { registry: SessionRegistry; serial: Serial; subscriptionPolicy: SubscriptionPolicy },
  ) {
    this.#parts = parts;
    this.#refusals = refusals;
    this.#registry = registry;
    this.#serial = serial;
    this.#restore = (session, subscriptions) => subscriptionPolicy.restore(session, subscriptions);
  }

  /** @throws Refused: it has been reported, and its return code is for CONNACK */
  async admit(client: Client, credentials: Credentials | undefined): Promise<void> {
    const { limits, policyOf, store } = this.#parts;
    const session = sessionOf(client);
    const request = connectRequestOf(client);
    if (session === undefined || request === undefined) throw refusedByGate(client);
    await this.#count(client, session);
    const refusal = decideConnect(session.owner, request, limits.willBytes);
    if (refusal !== undefined)
      throw this.#refusals.refuse(client, refusal.code, refusal.message, refusal.returnCode);
    if (policyOf(session.owner.account).secondFactor) await this.#checkSecond(client, session, credentials);
    const failure = store.failure();
    if (failure !== undefined) throw this.#refusals.refuse(client, 'unavailable', `sessions: ${failure}`);
    if (!(await this.#registry.take(session, client))) throw new Refused('closed');
    // what was on its way into its queue is there
    await this.#serial.idle(session.key);
    await this.#openMailbox(client, session);
    await this.#serial.run(session.key, () => this.#openSession(client, session));
    if (isLeftToTcp(request, limits.keepAliveSeconds))
      session.socket.setKeepAlive(true, limits.keepAliveSeconds * 1000);
  }

  /** Claims the session, then resumes it, or begins it. The connection with the latest claim of all nodes stays. */
  async #openSession(client: Client, session: Session): Promise<void> {
    const { store, node, mailboxes, takeOver, log } = this.#parts;
    const { key, owner } = session;
    // a device that has gone to another node meanwhile has the later claim there
    if (client.closed) throw new Refused('closed');
    let opened: OpenedSession | undefined;
    try {
      const { claim, from } = await (client.clean ? store.end(key, node) : store.claim(key, node));
      session.claim = claim;
      mailboxes.claimed(owner, claim);
      // what that node leaves behind is there before it is read
      if (from !== undefined && session.supersededBy <= claim) await takeOver(from, key, claim);
      if (!client.clean) opened = await store.open(key, claim);
    } catch (error) {
      log.warn({ err: error, ...owner }, 'mqtt: failed to open a session');
      throw this.#refusals.refuse(
        client,
        'unavailable',
        'session: the session store is unavailable; retry later',
      );
    }
    if (opened !== undefined) {
      const { record, sentUpTo, unreleased } = opened;
      session.isPresent = opened.isPresent;
      for (const id of unreleased) session.unreleased.add(id);
      this.#restore(session, record.subscriptions);
      session.outbox.keep({ epoch: record.epoch, sentUpTo });
    }
    if (session.supersededBy > session.claim || (opened === undefined && !client.clean)) {
      // of a client that has closed meanwhile it was left open
      mailboxes.close(owner, session.supersededBy);
      session.endedBy ??= 'takeover';
      session.isElsewhere = true;
      client.close();
      throw new Refused('closed');
    }
  }

  async #count(client: Client, session: Session): Promise<void> {
    const { device, address } = this.#parts.connects;
    // the device first: one that storms does not use up what others behind its address may do
    if (!(await device.allows(session.key)) || !(await address.allows(session.address)))
      throw this.#refusals.refuse(client, 'rate-limited', 'connect: too many connections within a minute');
  }

  /** The account asks for both: the certificate, which has passed, and what was delivered with it (F21). */
  async #checkSecond(client: Client, session: Session, credentials: Credentials | undefined): Promise<void> {
    if (credentials === undefined) {
      const message = 'username: the account requires user name and password beside the certificate';
      throw this.#refusals.refuse(client, 'no-credentials', message);
    }
    let isRight: boolean;
    try {
      isRight = await this.#parts.checkCredentials(session.owner, credentials);
    } catch (error) {
      this.#parts.log.warn({ err: error, ...session.owner }, 'mqtt: failed to check a password');
      throw this.#refusals.refuse(client, 'unavailable', 'password: it cannot be checked now; retry later');
    }
    if (!isRight)
      throw this.#refusals.refuse(client, 'wrong-password', 'password: not what was handed to this device');
  }

  async #openMailbox(client: Client, session: Session): Promise<void> {
    try {
      await this.#parts.mailboxes.open(session.owner, { clean: client.clean });
    } catch (error) {
      this.#parts.log.warn(
        { err: error, ...session.owner },
        'mqtt: failed to subscribe to the messages of a device',
      );
      throw this.#refusals.refuse(client, 'unavailable', 'messages: the bus is unavailable');
    }
  }
}

/** The admission gate has reported why; only CONNACK is left. */
function refusedByGate(client: Client): Refused {
  const admission = admissionOf(client.conn);
  const code = admission?.kind === 'refused' ? admission.refusal.code : 'unavailable';
  return new Refused(code, returnCodeOf(code));
}
