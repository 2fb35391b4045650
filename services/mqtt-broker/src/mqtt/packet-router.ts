import type { TLSSocket } from 'node:tls';
import type { Client } from 'aedes';
import { type InnerClient, innerOf } from './aedes.ts';
import type { Outbox } from './outbox.ts';
import { PacketFramer, type PacketSink } from './packet-framer.ts';
import type { PacketReader } from './packet-reader.ts';
import {
  checkPacket,
  MalformedPacket,
  PACKET,
  PacketIdsInUse,
  PacketTooLarge,
  UnspokenProtocol,
} from './packet-rules.ts';
import type { Uplink } from './uplink.ts';

/** Packets of one device that aedes may have in hand, and their bytes, of which the last packet may be above that. */
const MAX_IN_HAND = 64;
const MAX_BYTES_IN_HAND = 65_536;
/** For so long a device may read nothing of what it is sent. */
const DRAIN_MS = 60_000;

export type RouterLimits = {
  /** The longest packet, without its first bytes. */
  readonly packetBytes: number;
  /** QoS 2 messages that a device may have without PUBREL. */
  readonly inFlight: number;
};

/**
 * Stands between a connection and aedes: it reads the connection, keeps the packets that {@link Uplink} takes, and
 * gives all others to aedes, each of them whole and as MQTT 3.1.1 wants it. What comes after CONNECT waits until that is answered. Nothing is read
 * while aedes, the bus or the device itself is behind, so that the network slows the device down.
 */
export class PacketRouter implements PacketSink {
  readonly #client: InnerClient;
  readonly #socket: TLSSocket;
  readonly #framer: PacketFramer;
  readonly #reader: PacketReader;
  readonly #maxBytes: number;
  /** Packet ids that the device has in use on this connection. */
  readonly ids: PacketIdsInUse;
  readonly #onStuck: () => void;
  #drainTimer: NodeJS.Timeout | undefined;
  #uplink: Uplink | undefined;
  #outbox: Outbox | undefined;
  /** Ended: by DISCONNECT, or by a packet for which the connection is closed. */
  #state: 'new' | 'connecting' | 'connected' | 'ended' = 'new';
  #bytesInHand = 0;
  /** Amid a SUBSCRIBE or UNSUBSCRIBE: what comes behind it is to find it done. */
  #isSubscribing = false;
  #isWaiting = false;
  #hasBegun = false;
  #isHeard = false;
  #awaitsDrain = false;

  /** `onStuck`: it has not read for a minute. */
  constructor(
    client: Client,
    socket: TLSSocket,
    reader: PacketReader,
    limits: RouterLimits,
    onStuck: () => void = () => client.close(),
  ) {
    this.#onStuck = onStuck;
    const inner = innerOf(client);
    this.#client = inner;
    this.#socket = socket;
    this.#framer = new PacketFramer(this, limits.packetBytes);
    this.#reader = reader;
    this.#maxBytes = limits.packetBytes;
    this.ids = new PacketIdsInUse(limits.inFlight);
    reader.adopt(client);
    socket.removeListener('readable', inner._nextBatch);
    inner._parsingBatch = 0;
    inner._nextBatch = (error) => this.#handled(error);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('close', () => clearTimeout(this.#drainTimer));
  }

  /** CONNECT has been answered with 0: what else was sent is taken, by `uplink` where it can. */
  open(uplink?: Uplink, outbox?: Outbox): void {
    this.#uplink = uplink;
    this.#outbox = outbox;
    if (this.#state === 'connecting') this.#state = 'connected';
    this.resume();
  }

  /** Reads on, if nothing is in the way any more. */
  resume(): void {
    if (!this.#isWaiting || this.#client.closed || this.#hasToWait()) return;
    this.#isWaiting = false;
    this.#framer.resume();
    this.#afterChunk();
    if (!this.#isWaiting) this.#socket.resume();
  }

  get #isEnded(): boolean {
    return this.#state === 'ended';
  }

  packet(bytes: Buffer, start: number, body: number, end: number): boolean {
    if (this.#isEnded) return true;
    const type = (bytes[start] ?? 0) >> 4;
    if (this.#takes(bytes, start, body, end)) this.#isHeard = true;
    else this.#give(bytes.subarray(start, end), body - start, type);
    // what comes behind the end is thrown away, not kept
    if (this.#isEnded) return true;
    this.#isWaiting = this.#hasToWait();
    return !this.#isWaiting;
  }

  /** aedes sees no well-formed PUBLISH and PUBACK. */
  #takes(bytes: Buffer, start: number, body: number, end: number): boolean {
    if (bytes[start] === PACKET.puback << 4 && end === body + 2 && this.#outbox !== undefined) {
      const id = bytes.readUInt16BE(body);
      if (id !== 0) this.#outbox.acknowledge(id);
      return id !== 0;
    }
    const type = (bytes[start] ?? 0) >> 4;
    return type === PACKET.publish && this.#uplink?.take(bytes, start, body, end) === true;
  }

  malformed(length?: number): void {
    this.#end(
      length === undefined
        ? new MalformedPacket('its length has five bytes', 'MQTT-4.8.0-1')
        : new PacketTooLarge(length, this.#maxBytes),
    );
  }

  /** To aedes, if MQTT has nothing against it. */
  #give(packet: Buffer, body: number, type: number): void {
    try {
      if ((type === PACKET.connect) !== (this.#state === 'new'))
        throw this.#state === 'new'
          ? new MalformedPacket('the first one is not CONNECT', 'MQTT-3.1.0-1')
          : new MalformedPacket('a second CONNECT', 'MQTT-3.1.0-2');
      checkPacket(packet, body);
      this.#noteId(packet, body, type);
    } catch (error) {
      this.#end(error as Error);
      return;
    }
    if (this.#state === 'new') this.#state = 'connecting';
    if (type === PACKET.disconnect) this.#state = 'ended';
    if (type === PACKET.subscribe || type === PACKET.unsubscribe) this.#isSubscribing = true;
    this.#bytesInHand += packet.length;
    this.#reader.read(this.#client, packet);
  }

  #noteId(packet: Buffer, body: number, type: number): void {
    if (type === PACKET.pubrel) this.ids.released(packet.readUInt16BE(body));
    const qos = ((packet[0] ?? 0) >> 1) & 3;
    if (type !== PACKET.publish || qos === 0) return;
    const at = body + 2 + packet.readUInt16BE(body);
    this.ids.published(packet.readUInt16BE(at), qos, ((packet[0] ?? 0) & 8) !== 0);
  }

  /** Nothing more is read; who speaks another version is told so in its own. */
  #end(error: Error): void {
    this.#state = 'ended';
    this.#framer.drop();
    if (error instanceof UnspokenProtocol) this.#socket.write(error.connack);
    this.#client.emit('error', error);
  }

  #read(chunk: Buffer): void {
    if (this.#isEnded || this.#client.closed) return;
    // what is no MQTT may never make a whole packet
    if (!this.#hasBegun && (chunk[0] ?? 0) >> 4 !== PACKET.connect) {
      this.#end(new MalformedPacket('the first one is not CONNECT', 'MQTT-3.1.0-1'));
      return;
    }
    this.#hasBegun = true;
    if (this.#isWaiting) {
      this.#framer.keep(chunk);
      return;
    }
    this.#framer.take(chunk);
    this.#afterChunk();
    if (this.#isWaiting) this.#socket.pause();
  }

  /** Once for all packets that came together. */
  #afterChunk(): void {
    if (!this.#isHeard) return;
    this.#isHeard = false;
    this.#client._keepaliveTimer?.refresh();
    this.#uplink?.countPlain();
  }

  #hasToWait(): boolean {
    if (this.#state !== 'connected' || this.#client.closed || this.#client._parsingBatch >= MAX_IN_HAND)
      return true;
    if (this.#isSubscribing && this.#client._parsingBatch > 0) return true;
    if (this.#client._parsingBatch > 0 && this.#bytesInHand > MAX_BYTES_IN_HAND) return true;
    if (this.#socket.writableNeedDrain) this.#awaitDrain();
    return this.#awaitsDrain || this.#uplink?.isFull === true;
  }

  /** A device that does not read its PUBACKs is not read either; its keep-alive ends that. */
  #awaitDrain(): void {
    if (this.#awaitsDrain) return;
    this.#awaitsDrain = true;
    this.#drainTimer = setTimeout(() => this.#onStuck(), DRAIN_MS);
    this.#socket.once('drain', () => {
      clearTimeout(this.#drainTimer);
      this.#awaitsDrain = false;
      this.resume();
    });
  }

  #handled(error?: Error | null): void {
    const client = this.#client;
    if (error) {
      client.emit('error', error);
      return;
    }
    client._parsingBatch = Math.max(0, client._parsingBatch - 1);
    if (client._parsingBatch === 0) {
      this.#bytesInHand = 0;
      this.#isSubscribing = false;
    }
    this.resume();
  }
}
