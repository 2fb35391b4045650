import type { Index, Stored } from './store.ts';

export type IndexValue = string | number | boolean;

/** Sorts after every key of a document that is in the index. */
export const FILLER = '~';

/** Ends a string, so that no key is the beginning of another one. Sorts before whatever a string may contain. */
const END = '\u0001';

/** The characters up to this one are written as two, which leaves END free. */
const ESCAPE = '\u0002';
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are escaped
const ESCAPED = /[\u0000-\u0002]/;

export function isIndexValue(value: unknown): value is IndexValue {
  if (typeof value === 'string') return value.isWellFormed();
  return typeof value === 'boolean' || Number.isFinite(value);
}

/**
 * The beginning of the keys of all strings that begin with `text`. Keys compare by code point, as UTF-8 does by byte:
 * that is the order of SQLite's BINARY collation and of MongoDB without a collation.
 */
export function encodePrefix(text: string): string {
  if (!ESCAPED.test(text)) return `s${text}`;
  let escaped = 's';
  for (const char of text) {
    escaped += char <= ESCAPE ? ESCAPE + String.fromCharCode(0x31 + char.charCodeAt(0)) : char;
  }
  return escaped;
}

/** One value as text whose order is that of the values: false, true, numbers by size, strings by code point. */
export function encodeValue(value: IndexValue): string {
  if (typeof value === 'boolean') return value ? 'b1' : 'b0';
  return typeof value === 'number' ? `n${encodeNumber(value)}` : encodePrefix(value) + END;
}

/** The bytes of an IEEE 754 double, changed so that they sort: sign flipped, and all bits of a negative number. */
function encodeNumber(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value === 0 ? 0 : value);
  const bits = view.getBigUint64(0);
  const sortable = bits >> 63n === 1n ? bits ^ 0xffff_ffff_ffff_ffffn : bits | (1n << 63n);
  return sortable.toString(16).padStart(16, '0');
}

/** The smallest text that sorts after everything that begins with `prefix`; after all keys for an empty prefix. */
export function endOfPrefix(prefix: string): string {
  const end = prefix.charCodeAt(prefix.length - 1);
  if (end < 0xd7ff) return prefix.slice(0, -1) + String.fromCharCode(end + 1);
  const chars = Array.from(prefix);
  for (let last = chars.pop(); last !== undefined; last = chars.pop()) {
    const point = last.codePointAt(0) ?? 0;
    if (point < 0x10ffff) {
      return chars.join('') + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1);
    }
  }
  return FILLER;
}

/** Where an engine keeps the keys of an index: unique or not, then the fields, so that a changed index gets a new one. */
export function keyColumn(index: Index<never>): string {
  return [index.unique === true ? 'u' : 'n', ...index.fields].join('_');
}

/**
 * The key of a document in an index. Every key is unique, for those of other indexes end with the id; so a key alone
 * is a position in the index. A document that lacks a field gets a key outside of every query.
 */
export function keyOf<T extends Stored>(document: T, index: Index<T>): string {
  let key = '';
  for (const field of index.fields) {
    const value: unknown = document[field];
    if (!isIndexValue(value)) return fillerKey(document.id);
    key += encodeValue(value);
  }
  return index.unique === true ? key : key + document.id;
}

/** The key of a document that is not in an index. */
export function fillerKey(id: string): string {
  return FILLER + id;
}
