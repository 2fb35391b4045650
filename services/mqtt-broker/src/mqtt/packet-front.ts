import type { TLSSocket } from 'node:tls';
import type { Client } from 'aedes';
import { type InnerClient, innerOf } from './aedes-client.ts';
import { PacketTooLarge } from './guarded-parser.ts';
import { PacketCutter, type PacketSink } from './packet-cutter.ts';
import type { PacketReader } from './packet-reader.ts';
import type { Uplink } from './uplink.ts';

/** Packets of one device that aedes may have in hand. */
const MAX_IN_HAND = 64;

const PUBLISH = 3;

/**
 * Stands between a connection and aedes: it reads the connection, keeps the packets that {@link Uplink} takes, and
 * gives all others to aedes, each of them whole. What comes after CONNECT waits until that is answered. Nothing is read
 * while aedes, the bus or the device itself is behind, so that the network slows the device down.
 */
export class PacketFront implements PacketSink {
  readonly #client: InnerClient;
  readonly #socket: TLSSocket;
  readonly #cutter: PacketCutter;
  readonly #reader: PacketReader;
  readonly #maxBytes: number;
  #uplink: Uplink | undefined;
  #state: 'new' | 'connecting' | 'connected' | 'spoilt' = 'new';
  #isWaiting = false;
  #isHeard = false;
  #awaitsDrain = false;

  /** `maxBytes`: the longest packet, without its first octets. */
  constructor(client: Client, socket: TLSSocket, reader: PacketReader, maxBytes: number) {
    const inner = innerOf(client);
    this.#client = inner;
    this.#socket = socket;
    this.#cutter = new PacketCutter(this, maxBytes);
    this.#reader = reader;
    this.#maxBytes = maxBytes;
    reader.adopt(client);
    socket.removeListener('readable', inner._nextBatch);
    inner._parsingBatch = 0;
    inner._nextBatch = (error) => this.#handled(error);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  /** CONNECT has been answered with 0: what else was sent is taken. */
  open(uplink: Uplink): void {
    this.#uplink = uplink;
    if (this.#state === 'connecting') this.#state = 'connected';
    this.goOn();
  }

  /** Reads on, if nothing is in the way any more. */
  goOn(): void {
    if (!this.#isWaiting || this.#client.closed || this.#hasToWait()) return;
    this.#isWaiting = false;
    this.#cutter.goOn();
    this.#settle();
    if (!this.#isWaiting) this.#socket.resume();
  }

  packet(bytes: Buffer, start: number, body: number, end: number): boolean {
    if (this.#state === 'new') this.#state = 'connecting';
    if ((bytes[start] ?? 0) >> 4 === PUBLISH && this.#uplink?.take(bytes, start, body, end) === true)
      this.#isHeard = true;
    else this.#reader.read(this.#client, bytes.subarray(start, end));
    this.#isWaiting = this.#hasToWait();
    return !this.#isWaiting;
  }

  spoilt(length?: number): void {
    this.#state = 'spoilt';
    const error =
      length === undefined
        ? new Error('its length is malformed')
        : new PacketTooLarge(length, this.#maxBytes);
    this.#client.emit('error', error);
  }

  #read(chunk: Buffer): void {
    if (this.#state === 'spoilt' || this.#client.closed) return;
    if (this.#isWaiting) {
      this.#cutter.keep(chunk);
      return;
    }
    this.#cutter.take(chunk);
    this.#settle();
    if (this.#isWaiting) this.#socket.pause();
  }

  /** Once for all packets that came together. */
  #settle(): void {
    if (!this.#isHeard) return;
    this.#isHeard = false;
    this.#client._keepaliveTimer?.refresh();
    this.#uplink?.countPlain();
  }

  #hasToWait(): boolean {
    if (this.#state !== 'connected' || this.#client.closed || this.#client._parsingBatch >= MAX_IN_HAND)
      return true;
    if (this.#socket.writableNeedDrain) this.#awaitDrain();
    return this.#awaitsDrain || this.#uplink?.isFull === true;
  }

  /** A device that does not read its PUBACKs is not read either; its keep-alive ends that. */
  #awaitDrain(): void {
    if (this.#awaitsDrain) return;
    this.#awaitsDrain = true;
    this.#socket.once('drain', () => {
      this.#awaitsDrain = false;
      this.goOn();
    });
  }

  #handled(error?: Error | null): void {
    const client = this.#client;
    if (error) {
      client.emit('error', error);
      return;
    }
    client._parsingBatch = Math.max(0, client._parsingBatch - 1);
    this.goOn();
  }
}
