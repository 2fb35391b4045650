import type { RefusalCode } from '@signet/contracts';
import type { Listener, Logger, RefusalFacts, RefusalReporter } from '@signet/service';
import type { AuthenticateError, Client, ConnectPacket } from 'aedes';
import { type ConnectRequest, returnCodeOf } from '../domain/connect/connect-decision.ts';
import { SessionStoreError } from '../domain/session/session-store.ts';
import { MalformedPacket, PacketTooLarge, TooManyInFlight, UnspokenProtocol } from './packet-rules.ts';

type Known = Pick<RefusalFacts, 'account' | 'deviceId' | 'fingerprint' | 'address'>;

/** Reports each refused client once: what the broker decided, or which rule its packets broke. */
export class ClientRefusals {
  readonly #listener: Listener;
  readonly #reporter: RefusalReporter;
  readonly #log: Logger;
  readonly #knownOf: (client: Client) => Known;
  readonly #reported = new WeakSet<Client>();

  constructor(options: {
    readonly listener: Listener;
    readonly reporter: RefusalReporter;
    readonly log: Logger;
    readonly knownOf: (client: Client) => Known;
  }) {
    this.#listener = options.listener;
    this.#reporter = options.reporter;
    this.#log = options.log;
    this.#knownOf = options.knownOf;
  }

  /** Reports, and gives the error by which aedes ends the client. */
  refuse(
    client: Client,
    code: RefusalCode,
    message: string,
    returnCode: number = returnCodeOf(code),
  ): Refused {
    this.#reported.add(client);
    this.note(client, code, message);
    return new Refused(code, returnCode);
  }

  /** Reports what does not end the client. */
  note(client: Client, code: RefusalCode, message: string): void {
    this.#reporter.report({ listener: this.#listener, code, message, ...this.#knownOf(client) });
  }

  /** This client needs no report: another part has reported it, or it is not a refusal. */
  markReported(client: Client): void {
    this.#reported.add(client);
  }

  /** Classifies a client's error: already reported, of the network, of the device, or ours. */
  failed(client: Client, error: Error): 'reported' | 'network' | 'device' | 'ours' {
    const known = this.#knownOf(client);
    if (this.#reported.has(client) || client.closed) {
      this.#log.debug({ err: error, ...known }, 'mqtt: connection ended');
      return 'reported';
    }
    if (error instanceof PacketTooLarge) {
      this.refuse(client, 'packet-too-large', error.message);
      return 'device';
    }
    if (error instanceof TooManyInFlight) {
      this.refuse(client, 'limit-reached', error.message);
      return 'device';
    }
    if (error instanceof MalformedPacket || error instanceof UnspokenProtocol) {
      const isMalformed = error instanceof MalformedPacket;
      this.refuse(client, 'malformed-request', isMalformed ? `packet: ${error.message}` : error.message);
      return 'device';
    }
    if (error instanceof SessionStoreError) {
      this.#log.warn({ err: error, ...known }, 'mqtt: the session store failed; the connection is closed');
      this.refuse(client, 'unavailable', 'session: the session store is unavailable; retry later');
      return 'ours';
    }
    if ('code' in error) {
      this.#log.debug({ err: error, ...known }, 'mqtt: connection ended');
      return 'network';
    }
    this.#log.error({ err: error, ...known }, 'mqtt: an internal error closed a connection');
    this.refuse(client, 'internal-error', 'internal: an error of the platform, see its log');
    return 'ours';
  }
}

const requests = new WeakMap<Client, ConnectRequest>();

/** Notes what the wire said, and gives the client the broker's own id: the only key inside aedes and its persistence. */
export function renameClient(client: Client, packet: ConnectPacket, id: string): void {
  const { clientId, keepalive = 0, will } = packet;
  const willBytes = Buffer.byteLength(will?.payload ?? '');
  const request = { clientId, keepAlive: keepalive, willTopic: will?.topic, willBytes };
  requests.set(client, request);
  packet.clientId = id;
}

export function connectRequestOf(client: Client): ConnectRequest | undefined {
  return requests.get(client);
}

/** Ends a session, or its CONNECT with a return code. It has been reported already. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly returnCode: number;

  constructor(code: string, returnCode = 5) {
    super(code);
    this.returnCode = returnCode;
  }
}

/** An error that no code expects: never the fault of the device. */
export class InternalError extends Error {
  override readonly name = 'InternalError';
}

/** What `authenticate` hands to aedes where something failed. */
export function asAuthenticateError(error: unknown): AuthenticateError {
  if (error instanceof Refused) return Object.assign(error, { returnCode: error.returnCode });
  return Object.assign(new InternalError('connect: internal error', { cause: error }), { returnCode: 3 });
}
