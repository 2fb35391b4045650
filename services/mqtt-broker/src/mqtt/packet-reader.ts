import type { Client } from 'aedes';
import {
  type ISubscribePacket,
  type Packet,
  type Parser as PacketParser,
  parser as packetParser,
} from 'mqtt-packet';
import { type InnerClient, innerOf } from './aedes.ts';
import { MalformedPacket } from './packet-rules.ts';

/** What aedes bears. */
const MAX_LEVELS = 100;

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
    else if (this.#packet !== undefined) {
      if (this.#packet.cmd === 'subscribe') keepRepeated(this.#packet);
      this.#enqueue?.call({ client, _queue: [] }, this.#packet);
    }
  }

  #parse(bytes: Buffer): MalformedPacket | undefined {
    const parser = this.#parser;
    this.#packet = undefined;
    const rest = parser.parse(bytes);
    parser.settings = SPOKEN;
    if (rest === 0 && parser.error === null && this.#packet !== undefined) {
      if (topicsOf(this.#packet).every((topic) => topic.split('/').length <= MAX_LEVELS)) return undefined;
      return new MalformedPacket(`a topic of more than ${MAX_LEVELS} levels`, 'MQTT-4.7.3');
    }
    this.#parser = newParser();
    this.#listen();
    const rule = parser.error?.message ?? 'its length is not that of its contents';
    return new MalformedPacket(rule, 'MQTT-4.8.0-1');
  }

  #listen(): void {
    this.#parser.on('packet', (packet) => {
      this.#packet = packet;
    });
    // it is in the parser's `error`
    this.#parser.on('error', () => {});
  }
}

/** aedes leaves a filter out that comes twice: its SUBACK would have fewer codes than there are filters (MQTT-3.8.4-5, -6). */
function keepRepeated(packet: ISubscribePacket): void {
  const { subscriptions } = packet;
  Object.defineProperty(packet, 'subscriptions', { get: () => subscriptions, set: () => {} });
}

/** What aedes takes apart. */
function topicsOf(packet: Packet): readonly string[] {
  if (packet.cmd === 'publish') return [packet.topic];
  if (packet.cmd === 'subscribe') return packet.subscriptions.map(({ topic }) => topic);
  return packet.cmd === 'unsubscribe' ? packet.unsubscriptions : [];
}

function newParser(): Parser {
  return packetParser(SPOKEN) as Parser;
}
