import type { TLSSocket } from 'node:tls';
import type { DisconnectReason } from '@signet/contracts';
import { type AdmissionGate, admissionOf, finishConnection, type RefusalReporter } from '@signet/service';
import type { Client } from 'aedes';
import { Admitting, type AdmittingParts } from './admitting.ts';
import { ClientRefusals } from './client-refusals.ts';
import { closeWithNotify } from './close-notify.ts';
import { asAuthenticateError, renameClient } from './connect-request.ts';
import { Delivering, type DeliveringParts } from './delivering.ts';
import { type DrainLimits, drain } from './drain.ts';
import { MissedMessages } from './missed-messages.ts';
import { type FrontLimits, PacketFront } from './packet-front.ts';
import { PacketReader } from './packet-reader.ts';
import { Publishing, type PublishingParts } from './publishing.ts';
import { Receiving, type ReceivingParts } from './receiving.ts';
import { endOf, openSession, type Session, sessionOf } from './session.ts';
import { SessionHolders } from './session-holders.ts';
import { byTopicRules } from './session-persistence.ts';
import { Settling } from './settling.ts';
import { type Emitter, StrictAedes } from './strict-aedes.ts';
import { Underway } from './underway.ts';
import { Uplink, type UplinkParts } from './uplink.ts';
import { WaitingMessages } from './waiting-messages.ts';
import { watchSessions } from './watch-sessions.ts';

/** The listener's guard comes first. */
const CONNECT_MS = 600_000;

/** What the broker needs around it. */
export type DeviceBrokerParts = Omit<AdmittingParts, 'limits'> &
  Pick<PublishingParts, 'up' | 'isDenied'> & {
    readonly gate: AdmissionGate;
    readonly refusals: RefusalReporter;
    readonly now: () => number;
    readonly connected: (session: Session) => void;
    readonly disconnected: (session: Session, reason: DisconnectReason) => void;
    readonly counted: (account: string, direction: 'up' | 'down' | 'dropped', count?: number) => void;
    readonly limits: AdmittingParts['limits'] &
      ReceivingParts['limits'] &
      DeliveringParts['limits'] &
      DrainLimits &
      FrontLimits;
    /** How clients and nodes hear of each other. */
    readonly mq: Emitter;
  };

/**
 * The broker of operational certificates (design §11). All that it decides by is the certificate: who connects, under
 * which id, on which topics.
 */
export class DeviceBroker implements AsyncDisposable {
  /** What comes for devices. */
  readonly messages: Delivering;
  /** What came for them while this node could not hear it. */
  readonly missed: MissedMessages;
  readonly #parts: DeviceBrokerParts;
  readonly #aedes: StrictAedes;
  readonly #holders: SessionHolders;
  readonly #settling = new Settling();
  readonly #refusals: ClientRefusals;
  readonly #clients = new Set<Client>();
  readonly #admitting: Admitting;
  readonly #publishing: Publishing;
  readonly #receiving: Receiving;
  readonly #reader = new PacketReader();
  readonly #underway = new Underway();
  readonly #uplinkParts: UplinkParts;

  static async open(parts: DeviceBrokerParts): Promise<DeviceBroker> {
    const broker = new DeviceBroker(parts);
    for (;;) {
      await parts.store.ready();
      try {
        await broker.#aedes.listen();
        return broker;
      } catch (error) {
        if (parts.store.failure() === undefined) throw error;
        parts.log.warn({ err: error }, 'mqtt: sessions could not be read; trying again');
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
      underway: this.#underway,
      up: parts.up,
      counted: (account, count) => parts.counted(account, 'up', count),
    };
    this.#publishing = new Publishing({
      ...this.#uplinkParts,
      isDenied: parts.isDenied,
      persistence: parts.store.persistence,
    });
    this.#receiving = new Receiving(parts, this.#refusals);
    const waiting = new WaitingMessages(parts.store, parts.limits.waiting);
    this.#holders = new SessionHolders((session, client) => this.#left(session, client));
    this.#admitting = new Admitting(parts, this.#refusals, this.#holders);
    this.#aedes = new StrictAedes(
      {
        persistence: byTopicRules(parts.store.persistence),
        mq: parts.mq,
        connectTimeout: CONNECT_MS,
        maxClientsIdLength: 256,
        // the front counts them
        maxInflightInbound: 0,
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
          this.#admitting.admit(client, credentials).then(
            () => done(null, true),
            (error: unknown) => done(asAuthenticateError(error), false),
          );
        },
        authorizePublish: (client, packet, done) => {
          this.#publishing.publish(client, packet).then(
            () => done(null),
            (error: Error) => done(error),
          );
        },
        authorizeSubscribe: (client, subscription, done) => {
          done(null, this.#receiving.maySubscribe(client, subscription.topic) ? subscription : null);
        },
        authorizeForward: (client, packet) => {
          return this.#receiving.mayLeave(client, packet.topic) ? packet : null;
        },
      },
      (key) => this.#holders.removed(key),
    );
    this.messages = new Delivering(parts, this.#aedes, this.#holders, waiting);
    this.missed = new MissedMessages({
      ...{ log: parts.log, store: parts.store, mq: parts.mq },
      ...{ holders: this.#holders, settling: this.#settling },
    });
    watchSessions(this.#aedes, {
      ...{ log: parts.log, mq: parts.mq, mailboxes: parts.mailboxes, waiting },
      ...{ holders: this.#holders, settling: this.#settling, refusals: this.#refusals },
      opened: (session, client) => this.#opened(session, client),
    });
  }

  /** How many devices of each account hold a session on this node. */
  sessionsByAccount(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { owner } of this.#holders.sessions())
      counts.set(owner.account, (counts.get(owner.account) ?? 0) + 1);
    return counts;
  }

  /** Takes a connection at `secureConnection`: gate first, then MQTT. */
  accept(socket: TLSSocket): void {
    const { gate, limits, now } = this.#parts;
    const admission = gate.enter(socket);
    const peer = admission.kind === 'verified' ? admission.peer : undefined;
    if (peer?.account !== undefined) {
      openSession(socket, peer, { account: peer.account, deviceId: peer.deviceId }, admission.address, now());
    }
    const client = this.#aedes.handle(socket);
    closeWithNotify(socket, () => client.close());
    if (admission.kind === 'refused') this.#refusals.settle(client);
    const front = new PacketFront(client, socket, this.#reader, limits);
    const session = sessionOf(client);
    if (session !== undefined) session.front = front;
    this.#clients.add(client);
    socket.once('close', () => this.#clients.delete(client));
  }

  /** Calls `then` once this device, if it is connecting here, has got what waited for it; else at once. */
  whenSettled(key: string, then: () => void): void {
    this.#settling.whenSettled(this.#holders.get(key), then);
  }

  /** Ends all sessions, telling why, and waits until their wills and last messages are with the bus. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#holders.sessions()) session.endedBy ??= 'shutdown';
    await drain(this.#clients, this.#parts.limits);
    await this.#underway.settled();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
  }

  #opened(session: Session, client: Client): void {
    this.#parts.connected(session);
    const { front } = session;
    // aedes takes packets from the end of this turn on
    queueMicrotask(() => {
      if (front === undefined) return;
      const { ids } = front;
      front.open(new Uplink(this.#uplinkParts, session, client, { ids, onRoom: () => front.goOn() }));
    });
  }

  #left(session: Session, client: Client): void {
    this.#settling.settled(session);
    if (session.isConnected) this.#parts.disconnected(session, endOf(session, client));
    if (client.clean || session.isElsewhere) this.#parts.mailboxes.close(session.owner);
  }
}

function knownOf(client: Client) {
  const session = sessionOf(client);
  if (session === undefined) return { address: admissionOf(client.conn)?.address ?? 'unknown' };
  const { owner, peer, address } = session;
  return { ...owner, fingerprint: peer.facts.fingerprint, address };
}
