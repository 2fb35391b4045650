import type { TLSSocket } from 'node:tls';
import type { DisconnectReason, RefusalCode } from '@signet/contracts';
import {
  type AdmissionGate,
  admissionOf,
  type Logger,
  type RefusalReporter,
  sessionEndOf,
} from '@signet/service';
import { Aedes, type AedesOptions, type AuthenticateError, type Client } from 'aedes';
import type { RateLimiterAbstract } from 'rate-limiter-flexible';
import { decideConnect, RETURN_CODE, returnCodeOf } from '../domain/connect-decision.ts';
import { mayReceive, maySubscribe, publishLevels } from '../domain/topic-rules.ts';
import { guardPacketSize } from './guarded-parser.ts';
import { openSession, type Session, sessionOf } from './session.ts';

/** What the broker needs around it. */
export type DeviceBrokerParts = {
  readonly gate: AdmissionGate;
  readonly refusals: RefusalReporter;
  readonly log: Logger;
  readonly now: () => number;
  readonly connected: (session: Session) => void;
  readonly disconnected: (session: Session, reason: DisconnectReason) => void;
  /** Rejects where the bus has not stored the message in time. */
  readonly up: (
    session: Session,
    levels: readonly string[],
    payload: Uint8Array,
    stored: boolean,
  ) => Promise<void>;
  readonly connectRate: RateLimiterAbstract;
  readonly limits: {
    readonly packetBytes: number;
    readonly keepAliveSeconds: number;
    readonly subscriptions: number;
  };
  /** Where sessions are kept, and how nodes talk: in memory where left out. */
  readonly aedes?: Pick<AedesOptions, 'persistence' | 'mq' | 'id'>;
};

/**
 * The broker for operational certificates (design §11). All that it decides by is the certificate: who connects, under
 * which id, on which topics.
 */
export class DeviceBroker implements AsyncDisposable {
  readonly #parts: DeviceBrokerParts;
  readonly #aedes: Aedes;

  static async open(parts: DeviceBrokerParts): Promise<DeviceBroker> {
    const broker = new DeviceBroker(parts);
    await broker.#aedes.listen();
    return broker;
  }

  private constructor(parts: DeviceBrokerParts) {
    this.#parts = parts;
    this.#aedes = new Aedes({
      ...parts.aedes,
      keepaliveLimit: parts.limits.keepAliveSeconds,
      maxClientsIdLength: 256,
      preConnect: (client, packet, done) => {
        // The wire's client id is checked at authenticate, where a refusal has a return code.
        const session = sessionOf(client);
        wireIds.set(client, packet.clientId);
        packet.clientId = session?.key ?? `refused/${client.conn.toString()}`;
        done(null, true);
      },
      authenticate: (client, _username, _password, done) => {
        this.#authenticate(client).then(
          () => done(null, true),
          (error: AuthenticateError) => done(error, false),
        );
      },
      authorizePublish: (client, packet, done) => {
        this.#publish(client, packet).then(
          () => done(null),
          (error: Error) => done(error),
        );
      },
      authorizeSubscribe: (client, subscription, done) => {
        const session = sessionOf(client);
        const isAllowed = session !== undefined && this.#maySubscribe(session, subscription.topic);
        done(null, isAllowed ? subscription : null);
      },
      authorizeForward: (client, packet) => {
        const session = sessionOf(client);
        return session !== undefined && mayReceive(session.owner, packet.topic) ? packet : null;
      },
    });
    this.#aedes.on('clientReady', (client) => {
      const session = sessionOf(client);
      if (session === undefined) return;
      live.add(client);
      parts.connected(session);
    });
    this.#aedes.on('clientDisconnect', (client) => this.#left(client));
    this.#aedes.on('keepaliveTimeout', (client) => {
      const session = sessionOf(client);
      if (session !== undefined) session.endedBy ??= 'keepalive';
    });
    this.#aedes.on('clientError', (client, error) => this.#failed(client, error));
    this.#aedes.on('connectionError', (client, error) => this.#failed(client, error));
  }

  /** How many sessions are live. */
  get sessions(): number {
    return this.#aedes.connectedClients;
  }

  /** Takes a connection at `secureConnection`: gate first, then MQTT. */
  accept(socket: TLSSocket): void {
    const { gate, limits, now, refusals } = this.#parts;
    const admission = gate.enter(socket);
    const peer = admission.kind === 'verified' ? admission.peer : undefined;
    if (peer?.account !== undefined) {
      openSession(socket, peer, { account: peer.account, deviceId: peer.deviceId }, admission.address, now());
    }
    const client = this.#aedes.handle(socket);
    guardPacketSize(client, limits.packetBytes, (bytes) => {
      const session = sessionOf(client);
      const message = `packet: ${bytes} octets, at most ${limits.packetBytes} are allowed`;
      refusals.report({
        listener: 'mqtt',
        code: 'packet-too-large',
        message,
        ...factsOf(session),
        address: admission.address,
      });
      if (session !== undefined) session.endedBy ??= 'protocol';
      socket.destroy();
    });
  }

  /** Hands a message to the device whose topic it is, if it has a session (or a queue) here. */
  deliver(topic: string, payload: Uint8Array): void {
    this.#aedes.publish(
      { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain: false, dup: false },
      (error) => {
        if (error) this.#parts.log.warn({ err: error, topic }, 'mqtt: not delivered');
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of live) {
      const session = sessionOf(client);
      if (session !== undefined) session.endedBy ??= 'shutdown';
    }
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
  }

  async #authenticate(client: Client): Promise<void> {
    const { refusals, connectRate } = this.#parts;
    const session = sessionOf(client);
    if (session === undefined) {
      // The gate has reported why; here only the device is told.
      const admission = admissionOf(client.conn);
      const code = admission?.kind === 'refused' ? admission.refusal.code : 'unavailable';
      throw refused(returnCodeOf(code), code);
    }
    const refuse = (code: RefusalCode, message: string, returnCode: number) => {
      refusals.report({ listener: 'mqtt', code, message, ...factsOf(session) });
      throw refused(returnCode, code);
    };
    const refusal = decideConnect(session.owner, wireIds.get(client) ?? '');
    if (refusal !== undefined) refuse(refusal.code, refusal.message, refusal.returnCode);
    try {
      await connectRate.consume(session.key);
    } catch (cause) {
      if (cause instanceof Error) throw refused(RETURN_CODE.serverUnavailable, 'unavailable');
      refuse('rate-limited', 'connect: too many connections within a minute', RETURN_CODE.serverUnavailable);
    }
  }

  async #publish(
    client: Client | null,
    packet: { topic: string; payload: string | Buffer; qos: number },
  ): Promise<void> {
    const session = sessionOf(client);
    const levels = session && publishLevels(session.owner, packet.topic);
    if (session === undefined || levels === undefined) {
      this.#notAllowed(session, `publish: "${packet.topic.slice(0, 128)}" is not below the device's own up/`);
      throw new Error('topic not allowed');
    }
    await this.#parts.up(session, levels, Buffer.from(packet.payload), packet.qos > 0);
  }

  #maySubscribe(session: Session, filter: string): boolean {
    const { limits } = this.#parts;
    if (!maySubscribe(session.owner, filter)) {
      this.#notAllowed(
        session,
        `subscribe: "${filter.slice(0, 128)}" is neither below the device's own down/ nor shared`,
      );
      return false;
    }
    session.subscriptions++;
    if (session.subscriptions <= limits.subscriptions) return true;
    this.#notAllowed(session, `subscribe: more than ${limits.subscriptions} subscriptions`);
    return false;
  }

  #notAllowed(session: Session | undefined, message: string): void {
    this.#parts.refusals.report({
      listener: 'mqtt',
      code: 'topic-not-allowed',
      message,
      ...factsOf(session),
    });
  }

  #left(client: Client): void {
    const session = sessionOf(client);
    if (session === undefined || !live.delete(client)) return;
    this.#parts.disconnected(session, endOf(session, client));
  }

  #failed(client: Client, error: Error): void {
    const session = sessionOf(client);
    this.#parts.log.debug({ err: error, session: session?.key }, 'mqtt: session failed');
  }
}

const wireIds = new WeakMap<Client, string>();
const live = new Set<Client>();

function factsOf(session: Session | undefined) {
  if (session === undefined) return {};
  const { owner, peer, address } = session;
  return { account: owner.account, deviceId: owner.deviceId, fingerprint: peer.facts.fingerprint, address };
}

function refused(returnCode: number, code: string): AuthenticateError {
  return Object.assign(new Error(code), { returnCode });
}

/** Why a session ended: what the platform did, what was said, else what the socket tells. */
function endOf(session: Session, client: Client): DisconnectReason {
  const end = sessionEndOf(session.socket);
  if (end === 'denied' || end === 'untrusted') return 'denied';
  if (end === 'expired') return 'expired';
  if (session.endedBy !== undefined) return session.endedBy;
  const said = client as unknown as { _disconnected: boolean };
  return said._disconnected ? 'client' : 'network';
}
