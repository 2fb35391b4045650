import type { TLSSocket } from 'node:tls';
import type { DisconnectReason } from '@signet/contracts';
import { type AdmissionGate, admissionOf, finishConnection, type RefusalReporter } from '@signet/service';
import type { Client } from 'aedes';
import { isShared, ownerOfKey } from '../domain/topic/topic-rules.ts';
import { type Emitter, innerOf, StrictAedes } from './aedes.ts';
import { ConnectHandler, type ConnectHandlerParts } from './connect-handler.ts';
import { Downlink, type DownlinkParts } from './downlink.ts';
import { Outbox, type OutboxParts } from './outbox.ts';
import { PacketReader } from './packet-reader.ts';
import { PacketRouter, type RouterLimits } from './packet-router.ts';
import { PublishHandler, type PublishHandlerParts } from './publish-handler.ts';
import { asAuthenticateError, ClientRefusals, renameClient } from './refusals.ts';
import { endOf, openSession, type Session, sessionOf } from './session.ts';
import { SESSION_MARK, sessionPersistence } from './session-persistence.ts';
import { Serial, SessionRegistry } from './session-registry.ts';
import { SubscriptionPolicy, type SubscriptionPolicyParts } from './subscription-policy.ts';
import { closeWithNotify, type DrainLimits, drain } from './tls-listener.ts';
import { InFlight, Uplink, type UplinkParts } from './uplink.ts';

/** The listener's guard has the shorter deadline. */
const CONNECT_MS = 600_000;
/** The code in SUBACK for a filter that is rejected (3.1.1 §3.9.3). */
const NOT_GRANTED = 128;

/** What the broker needs around it. */
export type DeviceBrokerParts = Omit<ConnectHandlerParts, 'limits'> &
  Pick<PublishHandlerParts, 'up' | 'isDenied'> &
  Pick<DownlinkParts, 'tell'> & {
    readonly gate: AdmissionGate;
    readonly refusals: RefusalReporter;
    readonly now: () => number;
    readonly connected: (session: Session) => void;
    readonly disconnected: (session: Session, reason: DisconnectReason) => void;
    readonly counted: (account: string, direction: 'up' | 'down' | 'dropped', count?: number) => void;
    readonly limits: ConnectHandlerParts['limits'] &
      SubscriptionPolicyParts['limits'] &
      PublishHandlerParts['limits'] &
      OutboxParts['limits'] &
      DrainLimits &
      RouterLimits;
    /** No other node has sessions of these devices: wills that are left are of this node before its start. */
    readonly isAlone: boolean;
    /** How clients and nodes hear of each other. */
    readonly mq: Emitter;
  };

/**
 * The broker of operational certificates (design §11). All that it decides by is the certificate: who connects, under
 * which id, on which topics.
 */
export class DeviceBroker implements AsyncDisposable {
  /** What comes for devices. */
  readonly messages: Downlink;
  readonly #parts: DeviceBrokerParts;
  readonly #aedes: StrictAedes;
  readonly #registry: SessionRegistry;
  readonly #serial = new Serial();
  readonly #refusals: ClientRefusals;
  readonly #clients = new Set<Client>();
  readonly #connectHandler: ConnectHandler;
  readonly #publishHandler: PublishHandler;
  readonly #subscriptionPolicy: SubscriptionPolicy;
  readonly #reader = new PacketReader();
  readonly #inFlight = new InFlight();
  readonly #uplinkParts: UplinkParts;
  readonly #outboxParts: OutboxParts;

  static async open(parts: DeviceBrokerParts): Promise<DeviceBroker> {
    const broker = new DeviceBroker(parts);
    for (;;) {
      try {
        await parts.store.ready();
        await broker.#aedes.listen();
        await broker.#publishHandler.publishLeft(parts.isAlone);
        return broker;
      } catch (error) {
        if (parts.store.failure() === undefined) throw error;
        parts.log.warn({ err: error }, 'mqtt: failed to read sessions; retrying');
      }
    }
  }

  private constructor(parts: DeviceBrokerParts) {
    this.#parts = parts;
    this.#refusals = new ClientRefusals({
      listener: 'mqtt',
      reporter: parts.refusals,
      log: parts.log,
      knownOf,
    });
    this.#uplinkParts = {
      log: parts.log,
      refusals: this.#refusals,
      inFlight: this.#inFlight,
      up: parts.up,
      counted: (account, count) => parts.counted(account, 'up', count),
    };
    this.#publishHandler = new PublishHandler({
      ...this.#uplinkParts,
      isDenied: parts.isDenied,
      store: parts.store,
      limits: parts.limits,
    });
    this.#outboxParts = {
      ...{ log: parts.log, store: parts.store, limits: parts.limits },
      sent: (account) => parts.counted(account, 'down'),
      lost: (account, count) => parts.counted(account, 'dropped', count),
      leftFor: (node, key) => {
        if (node === parts.node) return;
        parts.tell(node, key).catch((error: unknown) => {
          parts.log.warn(
            { err: error, key },
            'mqtt: failed to notify the node of a device; queued messages are sent when it reconnects',
          );
        });
      },
    };
    this.#subscriptionPolicy = new SubscriptionPolicy(parts, this.#refusals);
    this.#registry = new SessionRegistry((session, client) => this.#left(session, client));
    const { store, node } = parts;
    const inner = {
      registry: this.#registry,
      serial: this.#serial,
      subscriptionPolicy: this.#subscriptionPolicy,
    };
    this.#connectHandler = new ConnectHandler(parts, this.#refusals, inner);
    this.#aedes = new StrictAedes(
      {
        id: node,
        persistence: sessionPersistence({ store, node, sessionOf: (key) => this.#registry.get(key) }),
        // bounded by us, in all connections of a session together
        maxInflightInbound: 0,
        mq: parts.mq,
        connectTimeout: CONNECT_MS,
        // the router sees to that
        drainTimeout: 0,
        maxClientsIdLength: 256,
        preConnect: (client, packet, done) => {
          finishConnection(client.conn);
          renameClient(client, packet, sessionOf(client)?.key ?? 'refused');
          done(null, true);
        },
        authenticate: (client, username, password, done) => {
          const credentials =
            username === undefined || password === undefined
              ? undefined
              : { username, password: password.toString() };
          this.#connectHandler.admit(client, credentials).then(
            () => done(null, true),
            (error: unknown) => done(asAuthenticateError(error), false),
          );
        },
        authorizePublish: (client, packet, done) => {
          this.#publishHandler.publish(client, packet).then(
            () => done(null),
            (error: Error) => done(error),
          );
        },
        authorizeSubscribe: (client, subscription, done) => {
          const isMark = subscription.topic === SESSION_MARK && !client.connected;
          done(
            null,
            !isMark && this.#subscriptionPolicy.maySubscribe(client, subscription) ? subscription : null,
          );
        },
        // it has nothing to send
        authorizeForward: () => null,
      },
      (key) => this.#registry.removed(key),
    );
    this.messages = new Downlink(parts, this.#registry, this.#serial);
    this.#listen();
  }

  /** How many devices of each account hold a session on this node. */
  sessionsByAccount(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { owner } of this.#registry.sessions())
      counts.set(owner.account, (counts.get(owner.account) ?? 0) + 1);
    return counts;
  }

  /** Takes a connection at `secureConnection`: gate first, then MQTT. */
  accept(socket: TLSSocket): void {
    const { gate, limits, now } = this.#parts;
    const admission = gate.enter(socket);
    const peer = admission.kind === 'verified' ? admission.peer : undefined;
    if (peer?.account !== undefined) {
      const owner = { account: peer.account, deviceId: peer.deviceId };
      openSession(socket, peer, owner, admission.address, now(), (opened) =>
        this.#outboxOf(opened, () => client),
      );
    }
    const client = this.#aedes.handle(socket);
    closeWithNotify(socket, () => client.close());
    if (admission.kind === 'refused') this.#refusals.markReported(client);
    const router = new PacketRouter(client, socket, this.#reader, limits, () => {
      if (session !== undefined) session.endedBy ??= 'slow-consumer';
      client.close();
    });
    const session = sessionOf(client);
    if (session !== undefined) session.router = router;
    this.#clients.add(client);
    socket.once('close', () => this.#clients.delete(client));
  }

  /**
   * Another node has this claim to a session: resolves when what was here is in its queue, or at once where the claim
   * of this node is the later one.
   */
  async giveUp(key: string, claim: number): Promise<void> {
    const owner = ownerOfKey(key);
    if (owner === undefined) return;
    const session = this.#registry.get(key);
    if (session !== undefined && session.claim === undefined) {
      // it compares when it has its own: the store may have made that already
      session.supersededBy = Math.max(session.supersededBy, claim);
      return;
    }
    if (session?.claim !== undefined && session.claim > claim) return;
    await this.#registry.giveUp(key);
    this.#parts.mailboxes.close(owner, claim);
    await this.#serial.idle(key);
  }

  /** The claim of the connection that has this session here. */
  claimOf(key: string): number | undefined {
    return this.#registry.get(key)?.claim;
  }

  /** Ends all sessions, telling why, and waits until their wills and last messages are with the bus. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#registry.sessions()) session.endedBy ??= 'shutdown';
    await drain(this.#clients, this.#parts.limits);
    await this.#inFlight.settled();
    await this.#serial.settled();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
  }

  /** What aedes tells of clients. */
  #listen(): void {
    const aedes = this.#aedes;
    aedes.on('client', (client) => this.#registry.registered(client));
    aedes.on('connackSent', ({ returnCode }, client) => {
      const session = sessionOf(client);
      if (session !== undefined && returnCode === 0 && !client.closed) this.#opened(session, client);
    });
    aedes.on('subscribe', (subscriptions, client) => {
      const session = sessionOf(client);
      if (session === undefined) return;
      const granted = subscriptions.filter(
        ({ topic, qos }) => Number(qos) !== NOT_GRANTED && isShared(topic),
      );
      if (granted.length === 0) return;
      void this.messages.sendRetained(
        session,
        granted.map(({ topic }) => topic),
      );
    });
    aedes.on('unsubscribe', (filters, client) => {
      for (const filter of filters) sessionOf(client)?.subscriptions.delete(filter);
    });
    aedes.on('keepaliveTimeout', (client) => {
      this.#refusals.markReported(client);
      const session = sessionOf(client);
      if (session !== undefined) session.endedBy ??= 'keepalive';
    });
    const failed = (client: Client, error: Error) => {
      const whose = this.#refusals.failed(client, error);
      const session = sessionOf(client);
      if (session === undefined) return;
      if (whose === 'device') session.endedBy ??= 'protocol';
      if (whose === 'ours') session.endedBy ??= 'internal';
    };
    aedes.on('clientError', failed);
    aedes.on('connectionError', failed);
    (aedes as NodeJS.EventEmitter).on('error', (error) => {
      this.#parts.log.error({ err: error }, 'mqtt: the session store failed');
    });
  }

  /** CONNACK went out. */
  #opened(session: Session, client: Client): void {
    session.isConnected = true;
    this.#parts.connected(session);
    const { router } = session;
    // aedes takes packets from the end of this turn on
    queueMicrotask(() => {
      if (router === undefined) return;
      const { ids } = router;
      const uplink = new Uplink(this.#uplinkParts, session, client, { ids, onRoom: () => router.resume() });
      router.open(uplink, session.outbox);
      void session.outbox.open();
    });
  }

  #outboxOf(session: Omit<Session, 'outbox'>, clientOf: () => Client): Outbox {
    const subscriptionPolicy = this.#subscriptionPolicy;
    return new Outbox(this.#outboxParts, {
      ...{ key: session.key, owner: session.owner, socket: session.socket, granted: session.granted },
      get isEnded() {
        return clientOf().closed;
      },
      mayReceive: (topic) => subscriptionPolicy.mayReceive(session, topic),
      end(reason) {
        session.endedBy ??= reason;
        clientOf().close();
      },
    });
  }

  #left(session: Session, client: Client): void {
    if (innerOf(client)._disconnected && session.will !== undefined)
      void this.#publishHandler.dropWill(session);
    void this.messages.close(session);
    if (session.isConnected) this.#parts.disconnected(session, endOf(session, client));
    const { clean } = client;
    const { isElsewhere, owner, supersededBy } = session;
    if (clean || isElsewhere) this.#parts.mailboxes.close(owner);
    // it never compared: a node that has the later claim was told so before this connection had one
    else if (supersededBy > 0) this.#parts.mailboxes.close(owner, supersededBy);
  }
}

function knownOf(client: Client) {
  const session = sessionOf(client);
  if (session === undefined) return { address: admissionOf(client.conn)?.address ?? 'unknown' };
  const { owner, peer, address } = session;
  return { ...owner, fingerprint: peer.facts.fingerprint, address };
}
