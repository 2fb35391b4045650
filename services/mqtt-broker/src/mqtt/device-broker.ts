import type { TLSSocket } from 'node:tls';
import type { DisconnectReason } from '@signet/contracts';
import { type AdmissionGate, admissionOf, type Logger, type RefusalReporter } from '@signet/service';
import type { Client } from 'aedes';
import type { AttemptLimit } from '../domain/attempt-limit.ts';
import { decideConnect, isSpoken, returnCodeOf } from '../domain/connect-decision.ts';
import type { SessionStore } from '../domain/session-store.ts';
import { mayReceive, maySubscribe, type Owner, ownerOfKey, sessionKey } from '../domain/topic-rules.ts';
import { ClientRefusals } from './client-refusals.ts';
import { asAuthenticateError, connectRequestOf, Refused, renameClient } from './connect-request.ts';
import { guardPacketSize } from './guarded-parser.ts';
import { Publishing, type PublishingParts } from './publishing.ts';
import { endOf, openSession, type Session, sessionOf } from './session.ts';
import { SessionHolders } from './session-holders.ts';
import { byTopicRules } from './session-persistence.ts';
import { type Emitter, StrictAedes } from './strict-aedes.ts';

const CONNECT_MS = 10_000;

/** Where a device is reached, from when it connects until its session is given up or held by another node. */
export type Mailboxes = {
  /** Messages for this device come to this node once it resolves. */
  open(owner: Owner): Promise<void>;
  close(owner: Owner): void;
};

/** What the broker needs around it. */
export type DeviceBrokerParts = {
  readonly gate: AdmissionGate;
  readonly refusals: RefusalReporter;
  readonly log: Logger;
  readonly now: () => number;
  readonly connected: (session: Session) => void;
  readonly disconnected: (session: Session, reason: DisconnectReason) => void;
  readonly up: PublishingParts['up'];
  readonly mailboxes: Mailboxes;
  readonly isDenied: PublishingParts['isDenied'];
  readonly counted: (account: string, direction: 'up' | 'down') => void;
  readonly connects: { readonly device: AttemptLimit; readonly address: AttemptLimit };
  readonly limits: {
    readonly packetBytes: number;
    readonly keepAliveSeconds: number;
    readonly subscriptions: number;
    /** QoS 1 messages that wait for one device. */
    readonly queued: number;
  };
  readonly store: SessionStore;
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
  readonly #refusals: ClientRefusals;
  readonly #clients = new Set<Client>();
  readonly #publishing: Publishing;

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
    this.#publishing = new Publishing({
      ...parts,
      refusals: this.#refusals,
      persistence: parts.store.persistence,
      counted: (account) => parts.counted(account, 'up'),
    });
    this.#holders = new SessionHolders((session, client) => this.#left(session, client));
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
        authenticate: (client, _username, _password, done) => {
          this.#authenticate(client).then(
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
          done(null, this.#maySubscribe(client, subscription.topic) ? subscription : null);
        },
        authorizeForward: (client, packet) => {
          const session = sessionOf(client);
          if (session === undefined || !mayReceive(session.owner, packet.topic)) return null;
          parts.counted(session.owner.account, 'down');
          return packet;
        },
      },
      (key) => this.#holders.removed(key),
    );
    this.#observe();
  }

  /** How many devices hold a session on this node. */
  get sessions(): number {
    return this.#holders.size;
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
    guardPacketSize(client, limits.packetBytes);
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
      else if ((await store.queued(key)) >= limits.queued) {
        log.warn({ ...owner, queued: limits.queued }, 'mqtt: too many messages wait for it, one dropped');
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

  /** Ends all sessions, telling why, and waits until their wills and last messages are with the bus. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#holders.sessions()) session.endedBy ??= 'shutdown';
    const closed = Array.from(
      this.#clients,
      (client) => new Promise<void>((resolve) => client.close(() => resolve())),
    );
    await Promise.all(closed);
    await this.#publishing.settled();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
  }

  #observe(): void {
    const { log, mailboxes, connected, mq } = this.#parts;
    const aedes = this.#aedes;
    aedes.on('client', (client) => this.#holders.registered(client));
    aedes.on('connackSent', ({ returnCode }, client) => {
      const session = sessionOf(client);
      if (session === undefined || returnCode !== 0 || client.closed) return;
      session.isConnected = true;
      connected(session);
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
        if (session === undefined) mailboxes.close(owner);
        else if (session.isConnected) {
          session.endedBy ??= 'takeover';
          session.isElsewhere = true;
        }
      }
      done();
    });
  }

  async #authenticate(client: Client): Promise<void> {
    const { connects, limits, store, mailboxes } = this.#parts;
    const session = sessionOf(client);
    const request = connectRequestOf(client);
    if (session === undefined || request === undefined) throw this.#toldByGate(client);
    const allowed = await Promise.all([
      connects.address.allows(session.address),
      connects.device.allows(session.key),
    ]);
    if (!allowed.every(Boolean))
      throw this.#refusals.refuse(client, 'rate-limited', 'connect: too many within a minute');
    const refusal = decideConnect(session.owner, request, limits.keepAliveSeconds);
    if (refusal !== undefined)
      throw this.#refusals.refuse(client, refusal.code, refusal.message, refusal.returnCode);
    const failure = store.failure();
    if (failure !== undefined) throw this.#refusals.refuse(client, 'unavailable', `sessions: ${failure}`);
    if (!(await this.#holders.take(session, client))) throw new Refused('closed');
    try {
      await mailboxes.open(session.owner);
    } catch (error) {
      this.#parts.log.warn({ err: error, ...session.owner }, 'mqtt: its messages cannot be listened for');
      throw this.#refusals.refuse(client, 'unavailable', 'messages: the bus is away');
    }
  }

  /** The gate has reported why; here only the device is told. */
  #toldByGate(client: Client): Refused {
    const admission = admissionOf(client.conn);
    const code = admission?.kind === 'refused' ? admission.refusal.code : 'unavailable';
    return new Refused(code, returnCodeOf(code));
  }

  #maySubscribe(client: Client, filter: string): boolean {
    const session = sessionOf(client);
    const { subscriptions: most } = this.#parts.limits;
    if (session === undefined) return false;
    const shown = filter.slice(0, 128);
    if (!maySubscribe(session.owner, filter)) {
      const message = `subscribe: "${shown}" is neither below the device's own down/ nor shared`;
      this.#refusals.note(client, 'topic-not-allowed', message);
      return false;
    }
    if (session.subscriptions.size >= most && !session.subscriptions.has(filter)) {
      this.#refusals.note(client, 'topic-not-allowed', `subscribe: more than ${most}, one is "${shown}"`);
      return false;
    }
    session.subscriptions.add(filter);
    return true;
  }

  #left(session: Session, client: Client): void {
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
