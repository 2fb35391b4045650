import { PkiError } from '../pki-error.ts';
import { encodeOid } from './oid.ts';
import { TAG } from './tags.ts';

/** Bytes that a length of `length` takes. */
function lengthOctets(length: number): number {
  if (length < 0x80) return 1;
  if (length < 0x100) return 2;
  if (length < 0x10000) return 3;
  if (length < 0x1000000) return 4;
  if (length < 0x100000000) return 5;
  throw new PkiError('too-large', `${length} bytes: too much for one element`);
}

/** Writes tag and length at `at`, and returns where the content goes. */
export function writeHeader(target: Uint8Array, at: number, tag: number, length: number): number {
  const octets = lengthOctets(length);
  target[at] = tag;
  if (octets === 1) target[at + 1] = length;
  else {
    target[at + 1] = 0x80 | (octets - 1);
    for (let i = 1; i < octets; i++) target[at + 1 + i] = length >>> (8 * (octets - 1 - i));
  }
  return at + 1 + octets;
}

/** Bytes of an element whose content has `length` bytes. */
export function elementLength(length: number): number {
  return 1 + lengthOctets(length) + length;
}

/**
 * One element: tag, length, and `parts` one after the other as its content. Its memory comes from node's pool:
 * copy with `owned` what is to be kept or handed out.
 */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = Buffer.allocUnsafe(elementLength(length));
  let at = writeHeader(bytes, 0, tag, length);
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A copy in memory of its own. */
export const owned = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(TAG.SEQUENCE, ...parts);

const MAX_KEPT = 512;
const encodedOids = new Map<string, Uint8Array>();

/** An OBJECT IDENTIFIER. They are few and come often: each is encoded once, and not to be written into. */
export function oid(dotted: string): Uint8Array {
  const known = encodedOids.get(dotted);
  if (known !== undefined) return known;
  const made = owned(der(TAG.OID, encodeOid(dotted)));
  if (encodedOids.size < MAX_KEPT) encodedOids.set(dotted, made);
  return made;
}

export const octetString = (...parts: readonly Uint8Array[]): Uint8Array => der(TAG.OCTET_STRING, ...parts);
export const utf8 = (text: string): Uint8Array => der(TAG.UTF8_STRING, Buffer.from(text, 'utf8'));
export const printable = (text: string): Uint8Array => der(TAG.PRINTABLE_STRING, Buffer.from(text, 'latin1'));
export const nullValue = (): Uint8Array => der(TAG.NULL);
export const boolean = (value: boolean): Uint8Array => der(TAG.BOOLEAN, Uint8Array.of(value ? 0xff : 0));

/** BIT STRING of whole bytes. */
export const bitString = (...parts: readonly Uint8Array[]): Uint8Array =>
  der(TAG.BIT_STRING, Uint8Array.of(0), ...parts);

/** INTEGER of a magnitude: leading zeros go, a sign byte comes where the top bit is set. */
export function unsignedInteger(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const minimal = magnitude.subarray(start);
  const sign = minimal.length === 0 || (minimal[0] as number) >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0);
  return der(TAG.INTEGER, sign, minimal);
}

/** INTEGER from 0 to 2^31 - 1. */
export function smallInteger(value: number): Uint8Array {
  return unsignedInteger(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
}

/** BIT STRING of named bits, trailing zero bits left out (X.690 §11.2.2). */
export function namedBits(bits: Iterable<number>): Uint8Array {
  const octets: number[] = [];
  for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  const filled = Uint8Array.from(octets, (octet) => octet ?? 0);
  const last = filled[filled.length - 1] ?? 0;
  const unused = last === 0 ? 0 : 31 - Math.clz32(last & -last);
  return der(TAG.BIT_STRING, Uint8Array.of(unused), filled);
}
