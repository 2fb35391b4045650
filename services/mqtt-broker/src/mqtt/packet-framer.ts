/** Receives the packets of a connection. */
export type PacketSink = {
  /** A whole packet: `bytes[start]` is its first byte, its body is `bytes[body]` to `bytes[end - 1]`. False: no more for now. */
  packet(bytes: Buffer, start: number, body: number, end: number): boolean;
  /** No packet can be told from the next any more; `length` is more than may come, or undefined where it is malformed. */
  malformed(length?: number): void;
};

/** Pieces that are held before small ones are put together. */
const MAX_PIECES = 64;
const SMALL_PIECE = 1024;

/**
 * Splits the bytes of a connection into MQTT packets (3.1.1 §2.2), wherever the network has parted them. Nothing is
 * copied but a packet that came in parts. What the sink does not want yet waits.
 */
export class PacketFramer {
  readonly #sink: PacketSink;
  readonly #maxBytes: number;
  #buffered: Buffer[] = [];
  #bufferedBytes = 0;
  /** Bytes that are needed before the next packet can be read. */
  #needed = 0;

  /** `maxBytes`: the longest body. */
  constructor(sink: PacketSink, maxBytes: number) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  /** Takes a chunk of the connection. */
  take(chunk: Buffer): void {
    if (this.#bufferedBytes === 0) {
      this.#walk(chunk);
      return;
    }
    this.keep(chunk);
    if (this.#bufferedBytes >= this.#needed) this.resume();
  }

  /** Buffers a chunk until {@link resume}. */
  keep(chunk: Buffer): void {
    this.#buffered.push(chunk);
    this.#bufferedBytes += chunk.length;
    // a piece costs some 200 bytes, however small it is: pieces of one byte would cost as much each
    if (this.#buffered.length > MAX_PIECES && this.#bufferedBytes < this.#buffered.length * SMALL_PIECE) {
      this.#buffered = [Buffer.concat(this.#buffered, this.#bufferedBytes)];
    }
  }

  /** Continues with what is buffered. */
  resume(): void {
    const [first] = this.#buffered;
    if (first === undefined) return;
    const bytes = this.#buffered.length === 1 ? first : Buffer.concat(this.#buffered, this.#bufferedBytes);
    this.drop();
    this.#walk(bytes);
  }

  /** Drops what is buffered. */
  drop(): void {
    this.#buffered = [];
    this.#bufferedBytes = 0;
    this.#needed = 0;
  }

  #walk(bytes: Buffer): void {
    for (let start = 0; start < bytes.length; ) {
      let body = start + 1;
      let length = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[body++];
        if (byte === undefined) {
          this.#buffer(bytes, start, body - start);
          return;
        }
        length += (byte & 0x7f) << shift;
        if (byte < 0x80) break;
        if (shift === 21) {
          this.#sink.malformed();
          return;
        }
      }
      if (length > this.#maxBytes) {
        this.#sink.malformed(length);
        return;
      }
      const end = body + length;
      if (end > bytes.length) {
        this.#buffer(bytes, start, end - start);
        return;
      }
      const goesOn = this.#sink.packet(bytes, start, body, end);
      start = end;
      if (!goesOn) {
        this.#buffer(bytes, start, 0);
        return;
      }
    }
  }

  #buffer(bytes: Buffer, start: number, needed: number): void {
    if (start === bytes.length) return;
    this.#buffered.push(start === 0 ? bytes : bytes.subarray(start));
    this.#bufferedBytes = bytes.length - start;
    this.#needed = needed;
  }
}
