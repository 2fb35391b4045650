import type { Client } from 'aedes';
import { type Packet, type Parser as PacketParser, parser as packetParser } from 'mqtt-packet';
import { type InnerClient, innerOf } from './aedes-client.ts';

type Parser = PacketParser & { settings: object; error: Error | null };
type Enqueue = (this: { client: Client; _queue: Packet[] }, packet: Packet) => void;

/** What a client has in place of a parser of its own: aedes silences it at the end. */
const NO_PARSER = { removeAllListeners: () => {}, _queue: null };
/** 3.1 and 3.1.1 are read alike; what a CONNECT says of other versions is its own affair. */
const SPOKEN = { protocolVersion: 4 };

/**
 * Reads the packets of all clients for aedes. A parser for each, as aedes makes them, is a quarter of the heap that a
 * session takes; here packets come whole, so one is enough. Nothing of a packet stays in it: where something would, it
 * is not used again.
 */
export class PacketReader {
  #parser = newParser();
  #packet: Packet | undefined;
  #enqueue: Enqueue | undefined;

  constructor() {
    this.#listen();
  }

  /** Takes the parser of a new client away. */
  adopt(client: Client): void {
    const inner = innerOf(client);
    this.#enqueue ??= inner._parser.listeners('packet')[0] as Enqueue;
    inner._parser = NO_PARSER as unknown as InnerClient['_parser'];
  }

  /** Gives aedes one whole packet, or ends the client with what is wrong with it. */
  read(client: Client, bytes: Buffer): void {
    const error = this.#parse(bytes);
    if (error !== undefined) client.emit('error', error);
    else if (this.#packet !== undefined) this.#enqueue?.call({ client, _queue: [] }, this.#packet);
  }

  #parse(bytes: Buffer): Error | undefined {
    const parser = this.#parser;
    this.#packet = undefined;
    const rest = parser.parse(bytes);
    parser.settings = SPOKEN;
    if (rest === 0 && parser.error === null && this.#packet !== undefined) return undefined;
    this.#parser = newParser();
    this.#listen();
    return parser.error ?? new Error('its length is not that of its contents');
  }

  #listen(): void {
    this.#parser.on('packet', (packet) => {
      this.#packet = packet;
    });
    // it is in the parser's `error`
    this.#parser.on('error', () => {});
  }
}

function newParser(): Parser {
  return packetParser(SPOKEN) as Parser;
}
