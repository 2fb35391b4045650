import type { RefusalCode } from '@signet/contracts';
import type { Listener, Logger, RefusalFacts, RefusalReporter } from '@signet/service';
import type { Client } from 'aedes';
import { returnCodeOf } from '../domain/connect-decision.ts';
import { Refused } from './connect-request.ts';
import { TooManyInFlight } from './packet-ids-in-use.ts';
import { PacketTooLarge, UnspokenProtocol } from './packet-rules.ts';

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

  /** A client's error: of the network, already told, or of what the client sent. */
  failed(client: Client, error: Error): void {
    if (this.#told.has(client) || client.closed || 'code' in error) {
      this.#log.debug({ err: error, ...this.#knownOf(client) }, 'mqtt: connection ended');
      return;
    }
    if (error instanceof PacketTooLarge) this.refuse(client, 'packet-too-large', error.message);
    else if (error instanceof TooManyInFlight) this.refuse(client, 'limit-reached', error.message);
    else if (error instanceof UnspokenProtocol) this.refuse(client, 'malformed-request', error.message);
    else this.refuse(client, 'malformed-request', `packet: ${error.message}`);
  }
}
