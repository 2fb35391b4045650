import { PkiError } from '../pki-error.ts';
import { knownOid } from './known-oids.ts';
import { decodeOid } from './oid.ts';
import { CONSTRUCTED_BIT, TAG } from './tags.ts';
import { decodeTime } from './time.ts';

/** Default size limit of one structure in bytes. */
export const MAX_DER_BYTES = 64 * 1024;
/** How deep constructed elements may nest. */
export const MAX_DER_DEPTH = 16;

function malformed(field: string, reason: string): PkiError {
  return new PkiError('malformed', `${field}: ${reason}`);
}

/**
 * Reads DER (X.690 §10) front to back: definite minimal lengths, canonical INTEGER and BOOLEAN, single-byte
 * tags, nothing left over. Whatever else it meets it refuses with `PkiError` `malformed`, naming `field`.
 * What it returns are views of the bytes that it was given.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #depth: number;
  #at: number;

  private constructor(bytes: Uint8Array, at: number, end: number, depth: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#depth = depth;
  }

  /** A reader over `bytes`, whose size must not exceed `maxBytes`. */
  static over(bytes: Uint8Array, field: string, maxBytes: number = MAX_DER_BYTES): DerReader {
    if (bytes.length > maxBytes)
      throw new PkiError('too-large', `${field}: ${bytes.length} bytes, at most ${maxBytes} are read`);
    return new DerReader(bytes, 0, bytes.length, 0);
  }

  /** A reader of the content of the one SEQUENCE that `bytes` hold, with nothing after it. */
  static sequence(bytes: Uint8Array, field: string, maxBytes: number = MAX_DER_BYTES): DerReader {
    const outer = DerReader.over(bytes, field, maxBytes);
    const inner = outer.enter(TAG.SEQUENCE, field);
    outer.finish(field);
    return inner;
  }

  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  /** The next identifier byte, -1 at the end. */
  peek(): number {
    return this.#at < this.#end ? (this.#bytes[this.#at] as number) : -1;
  }

  /** Refuses anything that has not been read. */
  finish(field: string): void {
    if (this.#at !== this.#end) throw malformed(field, `${this.#end - this.#at} trailing bytes`);
  }

  /** Checks the next header, moves past the whole element, and returns where its content starts. */
  #next(tag: number, field: string): number {
    const bytes = this.#bytes;
    const start = this.#at;
    if (start >= this.#end) throw malformed(field, 'missing');
    const found = bytes[start] as number;
    if ((found & 0x1f) === 0x1f) throw malformed(field, 'a tag of several bytes');
    if (tag !== -1 && found !== tag)
      throw malformed(field, `tag 0x${hex(tag)} expected, found 0x${hex(found)}`);
    if (start + 2 > this.#end) throw malformed(field, 'truncated');
    let length = bytes[start + 1] as number;
    let content = start + 2;
    if (length === 0x80) throw malformed(field, 'an indefinite length (BER)');
    if (length > 0x80) {
      const octets = length & 0x7f;
      if (octets > 4 || content + octets > this.#end)
        throw malformed(field, 'truncated or a length out of range');
      length = 0;
      for (let i = 0; i < octets; i++) length = length * 256 + (bytes[content + i] as number);
      if (length < 0x80 || length < 256 ** (octets - 1))
        throw malformed(field, 'a length that is not minimal (BER)');
      content += octets;
    }
    if (content + length > this.#end) throw malformed(field, 'truncated');
    this.#at = content + length;
    return content;
  }

  /** Content bytes of the next element, which must be of this tag. */
  content(tag: number, field: string): Uint8Array {
    const start = this.#next(tag, field);
    return this.#bytes.subarray(start, this.#at);
  }

  /** A reader of the next element's content; the element must be constructed and of this tag. */
  enter(tag: number, field: string): DerReader {
    if (this.#depth >= MAX_DER_DEPTH) throw malformed(field, `nested deeper than ${MAX_DER_DEPTH}`);
    const start = this.#next(tag, field);
    return new DerReader(this.#bytes, start, this.#at, this.#depth + 1);
  }

  /** The next element whole, header and content, its inside unread; -1 takes any tag. */
  element(tag: number, field: string): Uint8Array {
    const start = this.#at;
    this.#next(tag, field);
    return this.#bytes.subarray(start, this.#at);
  }

  /** The next element whole, of any tag, once everything in it has been found to be DER. */
  any(field: string): Uint8Array {
    const start = this.#at;
    this.#walk(field);
    return this.#bytes.subarray(start, this.#at);
  }

  #walk(field: string): void {
    const tag = this.peek();
    if ((tag & CONSTRUCTED_BIT) !== 0 && tag !== -1) {
      const inner = this.enter(tag, field);
      while (!inner.atEnd) inner.#walk(field);
    } else if (tag === TAG.INTEGER) this.integer(field);
    else if (tag === TAG.BOOLEAN) this.boolean(field);
    else if (tag === TAG.OID) this.oid(field);
    else if (tag === TAG.NULL) this.null(field);
    else if (tag === TAG.BIT_STRING) this.namedBits(field);
    else this.content(-1, field);
  }

  /** INTEGER: its content bytes, two's complement, minimal. */
  integer(field: string): Uint8Array {
    const start = this.#next(TAG.INTEGER, field);
    const length = this.#at - start;
    if (length === 0) throw malformed(field, 'an empty INTEGER');
    const first = this.#bytes[start] as number;
    const signOfSecond = (this.#bytes[start + 1] as number) & 0x80;
    if (length > 1 && ((first === 0 && signOfSecond === 0) || (first === 0xff && signOfSecond !== 0)))
      throw malformed(field, 'an INTEGER that is not minimal');
    return this.#bytes.subarray(start, this.#at);
  }

  /** INTEGER from 0 to 2^31 - 1. */
  smallInteger(field: string): number {
    const content = this.integer(field);
    if (content.length > 4 || (content[0] as number) >= 0x80)
      throw malformed(field, 'an INTEGER out of range');
    let value = 0;
    for (const octet of content) value = value * 256 + octet;
    return value;
  }

  boolean(field: string): boolean {
    const start = this.#next(TAG.BOOLEAN, field);
    const value = this.#bytes[start];
    if (this.#at - start !== 1 || (value !== 0 && value !== 0xff))
      throw malformed(field, 'a BOOLEAN that is not 00 or FF');
    return value === 0xff;
  }

  null(field: string): void {
    if (this.content(TAG.NULL, field).length !== 0) throw malformed(field, 'a NULL with content');
  }

  oid(field: string): string {
    const start = this.#next(TAG.OID, field);
    return knownOid(this.#bytes, start, this.#at) ?? decodeOid(this.#bytes, start, this.#at, field);
  }

  /** BIT STRING of whole bytes, as keys and signatures are. */
  bitString(field: string): Uint8Array {
    const content = this.content(TAG.BIT_STRING, field);
    if (content[0] !== 0) throw malformed(field, 'a BIT STRING that is not of whole bytes');
    return content.subarray(1);
  }

  /** BIT STRING of any number of bits; bits past the end are zero. */
  namedBits(field: string): Uint8Array {
    const content = this.content(TAG.BIT_STRING, field);
    const unused = content[0];
    if (unused === undefined || unused > 7 || (unused > 0 && content.length === 1))
      throw malformed(field, 'a BIT STRING with a wrong count of unused bits');
    const last = content[content.length - 1] as number;
    if (unused > 0 && (last & ((1 << unused) - 1)) !== 0)
      throw malformed(field, 'a BIT STRING whose unused bits are set');
    return content.subarray(1);
  }

  /** UTCTime or GeneralizedTime, as Unix milliseconds. */
  time(field: string): number {
    const tag = this.peek();
    if (tag !== TAG.UTC_TIME && tag !== TAG.GENERALIZED_TIME) throw malformed(field, 'a time expected');
    const start = this.#next(tag, field);
    return decodeTime(tag, this.#bytes, start, this.#at, field);
  }
}

function hex(octet: number): string {
  return octet.toString(16).padStart(2, '0');
}
