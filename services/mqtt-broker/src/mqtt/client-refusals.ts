import type { RefusalCode } from '@signet/contracts';
import type { Listener, Logger, RefusalFacts, RefusalReporter } from '@signet/service';
import type { Client } from 'aedes';
import { returnCodeOf } from '../domain/connect-decision.ts';
import { SessionStoreError } from '../domain/session-store.ts';
import { Refused } from './connect-request.ts';
import { TooManyInFlight } from './packet-ids-in-use.ts';
import { MalformedPacket, PacketTooLarge, UnspokenProtocol } from './packet-rules.ts';

type Known = Pick<RefusalFacts, 'account' | 'deviceId' | 'fingerprint' | 'address'>;

/** Tells of each refused client once: what the broker decided, or what its packets broke. */
export class ClientRefusals {
  readonly #listener: Listener;
  readonly #reporter: RefusalReporter;
  readonly #log: Logger;
  readonly #knownOf: (client: Client) => Known;
  readonly #told = new WeakSet<Client>();

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
    this.#told.add(client);
    this.note(client, code, message);
    return new Refused(code, returnCode);
  }

  /** Reports what does not end the client. */
  note(client: Client, code: RefusalCode, message: string): void {
    this.#reporter.report({ listener: this.#listener, code, message, ...this.#knownOf(client) });
  }

  /** What ends this client needs no telling: it has been told elsewhere, or is no refusal. */
  settle(client: Client): void {
    this.#told.add(client);
  }

  /** A client's error: already told, of the network, of what the client sent, or else ours. Returns whose it is. */
  failed(client: Client, error: Error): 'told' | 'network' | 'device' | 'ours' {
    const known = this.#knownOf(client);
    if (this.#told.has(client) || client.closed) {
      this.#log.debug({ err: error, ...known }, 'mqtt: connection ended');
      return 'told';
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
      this.#log.warn({ err: error, ...known }, 'mqtt: its session cannot be reached, its connection ends');
      this.refuse(client, 'unavailable', 'session: it cannot be reached now');
      return 'ours';
    }
    if ('code' in error) {
      this.#log.debug({ err: error, ...known }, 'mqtt: connection ended');
      return 'network';
    }
    this.#log.error({ err: error, ...known }, 'mqtt: an error of the platform ended a connection');
    this.refuse(client, 'internal-error', 'internal: an error of the platform, which its log tells of');
    return 'ours';
  }
}
