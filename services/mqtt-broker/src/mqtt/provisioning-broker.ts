import type { TLSSocket } from 'node:tls';
import { type AdmissionGate, finishConnection, peerOf } from '@signet/service';
import { Aedes, type Client } from 'aedes';
import { RETURN_CODE } from '../domain/connect/connect-decision.ts';
import { PacketReader } from './packet-reader.ts';
import { PacketRouter } from './packet-router.ts';
import { ProvisioningExchanges, type ProvisioningParts } from './provisioning-exchanges.ts';
import { asAuthenticateError, type ClientRefusals, renameClient } from './refusals.ts';
import { closeWithNotify } from './tls-listener.ts';

/** The listener's guard has the shorter deadline. */
const CONNECT_MS = 600_000;
/** Ample for a request with a CSR of the largest RSA key. */
const LIMITS = { packetBytes: 16_384, inFlight: 16 };

export type ProvisioningBrokerParts = ProvisioningParts & {
  readonly gate: AdmissionGate;
  /** How long one exchange may take from the handshake on, ms. */
  readonly exchangeMs: number;
  /** Exchanges at a time, of devices with a certificate that is admitted; others are never counted. */
  readonly maxExchanges: number;
};

/**
 * The broker of the provisioning listener (design §11): a bootstrap certificate with user name and password, one
 * request, one reply, and word of how it goes. It keeps nothing, and shares nothing with the broker of operational certificates.
 */
export class ProvisioningBroker implements AsyncDisposable {
  readonly #parts: ProvisioningBrokerParts;
  readonly #aedes: Aedes;
  readonly #refusals: ClientRefusals;
  readonly #clients = new Set<Client>();
  readonly #exchanging = new Set<Client>();
  readonly #routers = new WeakMap<Client, PacketRouter>();
  readonly #reader = new PacketReader();

  static async open(parts: ProvisioningBrokerParts): Promise<ProvisioningBroker> {
    const broker = new ProvisioningBroker(parts);
    await broker.#aedes.listen();
    return broker;
  }

  private constructor(parts: ProvisioningBrokerParts) {
    this.#parts = parts;
    const exchanges = new ProvisioningExchanges(parts);
    const { refusals } = exchanges;
    this.#refusals = refusals;
    this.#aedes = new Aedes({
      connectTimeout: CONNECT_MS,
      maxClientsIdLength: 256,
      preConnect: (client, packet, done) => {
        finishConnection(client.conn);
        const { fingerprint = 'refused' } = peerOf(client.conn)?.facts ?? {};
        renameClient(client, packet, fingerprint);
        packet.clean = true;
        done(null, true);
      },
      authenticate: (client, username, password, done) => {
        if (!this.#hasRoom(client)) {
          const message = `exchanges: ${parts.maxExchanges} are open, the most that are allowed`;
          const refused = refusals.refuse(client, 'unavailable', message, RETURN_CODE.serverUnavailable);
          done(asAuthenticateError(refused), false);
          return;
        }
        exchanges.authenticate(client, username, password).then(
          () => done(null, true),
          (error: unknown) => done(asAuthenticateError(error), false),
        );
      },
      authorizePublish: (client, packet, done) => done(exchanges.request(client, packet)),
      authorizeSubscribe: (client, subscription, done) => {
        done(null, exchanges.maySubscribe(client, subscription.topic) ? subscription : null);
      },
      authorizeForward: (client, packet) => (exchanges.mayLeave(client, packet.topic) ? packet : null),
    });
    this.#aedes.on('clientError', (client, error) => refusals.failed(client, error));
    this.#aedes.on('connectionError', (client, error) => refusals.failed(client, error));
    this.#aedes.on('connackSent', ({ returnCode }, client) => {
      // aedes takes packets from the end of this turn on
      if (returnCode === 0) queueMicrotask(() => this.#routers.get(client)?.open());
    });
    this.#aedes.on('keepaliveTimeout', (client) => refusals.markReported(client));
  }

  /** Takes a connection at `secureConnection`: gate first, then MQTT. */
  accept(socket: TLSSocket): void {
    const admission = this.#parts.gate.enter(socket);
    const client = this.#aedes.handle(socket);
    if (admission.kind === 'refused') this.#refusals.markReported(client);
    closeWithNotify(socket, () => client.close());
    this.#routers.set(client, new PacketRouter(client, socket, this.#reader, LIMITS));
    this.#clients.add(client);
    const timer = setTimeout(() => client.close(), this.#parts.exchangeMs);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#clients.delete(client);
      this.#exchanging.delete(client);
    });
  }

  /** Takes one of the places, where the gate let the client in. */
  #hasRoom(client: Client): boolean {
    if (peerOf(client.conn) === undefined) return true;
    if (this.#exchanging.size >= this.#parts.maxExchanges) return false;
    this.#exchanging.add(client);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
  }
}
