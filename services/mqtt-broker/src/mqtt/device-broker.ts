import type { TLSSocket } from 'node:tls';
import type { DisconnectReason } from '@signet/contracts';
import { type AdmissionGate, admissionOf, type RefusalReporter } from '@signet/service';
import type { Client } from 'aedes';
import { isSpoken } from '../domain/connect-decision.ts';
import { type Owner, ownerOfKey, sessionKey } from '../domain/topic-rules.ts';
import { Admitting, type AdmittingParts } from './admitting.ts';
import { ClientRefusals } from './client-refusals.ts';
import { asAuthenticateError, renameClient } from './connect-request.ts';
import { type DrainLimits, drain } from './drain.ts';
import { PacketFront } from './packet-front.ts';
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
import { type WaitingLimits, WaitingMessages } from './waiting-messages.ts';

const CONNECT_MS = 10_000;

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
      DrainLimits & {
        readonly packetBytes: number;
        /** What waits for one device; octets where it is away. */
        readonly waiting: WaitingLimits;
      };
    /** How clients and nodes hear of each other. */
    readonly mq: Emitter;
  };

/**
 * The broker of operational certificates (design §11). All that it decides by is the certificate: who connects, under
 * which id, on which topics.
 */
export class DeviceBroker implements AsyncDisposable {
  readonly #parts: DeviceBrokerParts;
  readonly #aedes: StrictAedes;
  readonly #holders: SessionHolders;
  readonly #settling = new Settling();
  readonly #refusals: ClientRefusals;
  readonly #clients = new Set<Client>();
  readonly #waiting: WaitingMessages;
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
    this.#waiting = new WaitingMessages(parts.store, parts.limits.waiting);
    this.#holders = new SessionHolders((session, client) => this.#left(session, client));
    this.#admitting = new Admitting(parts, this.#refusals, this.#holders);
    this.#aedes = new StrictAedes(
      {
        persistence: byTopicRules(parts.store.persistence),
        mq: parts.mq,
        connectTimeout: CONNECT_MS,
        maxClientsIdLength: 256,
        preConnect: (client, packet, done) => {
          const request = renameClient(client, packet, sessionOf(client)?.key ?? 'refused');
          if (!isSpoken(request)) {
            const message = `protocol: version ${request.protocolVersion} is not spoken, 3.1.1 is`;
            this.#refusals.refuse(client, 'malformed-request', message);
          }
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
    this.#observe();
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
    if (admission.kind === 'refused') this.#refusals.settle(client);
    const front = new PacketFront(client, socket, this.#reader, limits.packetBytes);
    const session = sessionOf(client);
    if (session !== undefined) session.front = front;
    this.#clients.add(client);
    socket.once('close', () => this.#clients.delete(client));
  }

  /** Hands a message to the device, if its session lives here or waits for it. */
  async deliver(owner: Owner, topic: string, payload: Uint8Array): Promise<void> {
    const { store, limits, log } = this.#parts;
    const key = sessionKey(owner);
    try {
      const failure = store.failure();
      if (failure !== undefined)
        log.warn({ ...owner, failure }, 'mqtt: a message cannot wait for its device');
      else if (!(await this.hasRoom(key, payload.length))) {
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

  /** Calls `then` once this device, if it is connecting here, has got what waited for it; else at once. */
  whenSettled(key: string, then: () => void): void {
    this.#settling.whenSettled(this.#holders.get(key), then);
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

  /** Ends all sessions, telling why, and waits until their wills and last messages are with the bus. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#holders.sessions()) session.endedBy ??= 'shutdown';
    await drain(this.#clients, this.#parts.limits);
    await this.#underway.settled();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
  }

  #observe(): void {
    const { log, mailboxes, connected, mq } = this.#parts;
    const aedes = this.#aedes;
    aedes.on('client', (client) => {
      this.#waiting.forget(client.id);
      this.#holders.registered(client);
    });
    aedes.on('connackSent', ({ returnCode }, client) => {
      const session = sessionOf(client);
      if (session === undefined || returnCode !== 0 || client.closed) return;
      session.isConnected = true;
      connected(session);
      // aedes takes packets from the end of this turn on
      queueMicrotask(() => this.#open(session, client));
    });
    aedes.on('clientReady', (client) => {
      const session = sessionOf(client);
      if (session !== undefined) this.#settling.settled(session);
    });
    aedes.on('unsubscribe', (filters, client) => {
      for (const filter of filters) sessionOf(client)?.subscriptions.delete(filter);
    });
    aedes.on('keepaliveTimeout', (client) => {
      this.#refusals.settle(client);
      const session = sessionOf(client);
      if (session !== undefined) session.endedBy ??= 'keepalive';
    });
    const failed = (client: Client, error: Error) => {
      const isOfTheNetwork = client.closed || 'code' in error;
      const session = sessionOf(client);
      if (session !== undefined && !isOfTheNetwork) session.endedBy ??= 'protocol';
      this.#refusals.failed(client, error);
    };
    aedes.on('clientError', failed);
    aedes.on('connectionError', failed);
    (aedes as NodeJS.EventEmitter).on('error', (error) => log.error({ err: error }, 'mqtt: sessions failed'));
    // before aedes' own listener, which closes the client that another node has taken over
    mq.on('$SYS/+/new/clients', ({ topic, payload }, done) => {
      const owner = ownerOfKey(payload.toString());
      if (owner !== undefined && topic !== `$SYS/${aedes.id}/new/clients`) {
        const session = this.#holders.get(payload.toString());
        this.#waiting.forget(payload.toString());
        if (session === undefined) mailboxes.close(owner);
        else if (session.isConnected) {
          session.endedBy ??= 'takeover';
          session.isElsewhere = true;
        }
      }
      done();
    });
  }

  #open(session: Session, client: Client): void {
    const { front } = session;
    front?.open(new Uplink(this.#uplinkParts, session, client, () => front.goOn()));
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
