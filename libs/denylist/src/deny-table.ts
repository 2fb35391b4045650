import { NEVER, RECORD_OCTETS, readKey, storedExpiry } from './packed-records.ts';
import { TableDigest } from './table-digest.ts';

/** 32-bit words of an entry: four of key, one of expiry. */
const WORDS = 5;

/** How full a table is when it has been loaded, and when it grows. */
const LOADED = 0.78;
const FULL = 0.86;
const EMPTY = 0;
const HASHES = 2 ** 32;

/**
 * Denied keys with their expiry, in one ArrayBuffer: open addressing, 20 bytes a slot, at most 28 bytes an entry once
 * loaded. Keys are SHA-256 output, so their first four bytes are the hash. A hash's home slot grows with the hash, and
 * entries are kept in the order of their hashes: a search ends at the first greater one, and a range of hashes can be
 * read out whatever the capacity, which is what pages a snapshot. Expiries are Unix seconds, 0 for never.
 */
export class DenyTable {
  #words: Uint32Array;
  /** Slots that are home to some hash; behind them lies the tail, for entries pushed past the last of them. */
  #homes: number;
  #size = 0;
  /** No entry expires before this. */
  #earliest = NEVER;
  #horizon = 0;
  #digest = new TableDigest();
  readonly #key = new Uint32Array(4);

  /**
   * `expected`: entries to have room for. To be given where records are loaded in the order of their hashes, as a
   * snapshot has them: in a table that grows meanwhile they would crowd into its first slots.
   */
  constructor(expected = 0) {
    this.#homes = homesFor(expected);
    this.#words = new Uint32Array(slotsFor(this.#homes) * WORDS);
  }

  /** Entries, the expired among them until they are purged. */
  get size(): number {
    return this.#size;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#words.byteLength;
  }

  /** Unix seconds up to which expired entries are gone; what expires no later is not taken in any more. */
  get horizon(): number {
    return this.#horizon;
  }

  /** Of all entries, whatever their order: two tables of one horizon that took in the same changes have the same. */
  get digest(): string {
    return this.#digest.toString();
  }

  /** Adds a key, or gives it another expiry. */
  add(key: string, expiresAt: number): void {
    const [a, b, c, d] = this.#parsed(key);
    const expiry = storedExpiry(expiresAt);
    if (expiry > this.#horizon) this.#put(a, b, c, d, expiry);
    else this.lift(key);
  }

  /** @returns whether the key was there */
  lift(key: string): boolean {
    const [a, b, c, d] = this.#parsed(key);
    const slot = this.#find(a, b, c, d);
    if (slot < 0) return false;
    this.#digest.toggle(a, b, c, d, word(this.#words, slot * WORDS + 4));
    this.#removeAt(slot);
    if (this.#homes > homesFor(0) && this.#size < this.#homes / 4) this.fit();
    return true;
  }

  /** Whether the key is denied at `now` (Unix seconds). */
  has(key: string, now: number): boolean {
    const key4 = this.#key;
    readKey(key, key4);
    const slot = this.#find(word(key4, 0), word(key4, 1), word(key4, 2), word(key4, 3));
    return slot >= 0 && word(this.#words, slot * WORDS + 4) > now;
  }

  /** Drops what has expired by `now` (Unix seconds). @returns how many */
  purge(now: number): number {
    this.#horizon = Math.max(this.#horizon, now);
    if (this.#earliest > now) return 0;
    const before = this.#size;
    this.#rebuild(this.#homes, now);
    if (this.#size < this.#homes / 4) this.fit();
    return before - this.#size;
  }

  /** Shrinks to what the entries need. */
  fit(): void {
    const homes = homesFor(this.#size);
    if (homes < this.#homes) this.#rebuild(homes, 0);
  }

  /** What is denied here at `now` (Unix seconds), and there not, or not for as long. */
  minus(other: DenyTable, now: number): DenyTable {
    const rest = new DenyTable();
    const words = this.#words;
    for (let at = 0; at < words.length; at += WORDS) {
      const expiry = word(words, at + 4);
      if (expiry === EMPTY || expiry <= now) continue;
      const key = [word(words, at), word(words, at + 1), word(words, at + 2), word(words, at + 3)] as const;
      const slot = other.#find(...key);
      if (slot >= 0 && word(other.#words, slot * WORDS + 4) >= expiry) continue;
      rest.#put(...key, expiry);
    }
    return rest;
  }

  /** Adds packed records. @throws RangeError if the bytes are not a whole number of records */
  load(records: Uint8Array): void {
    if (records.byteLength % RECORD_OCTETS !== 0)
      throw new RangeError(`records: ${records.byteLength} bytes are no whole number of ${RECORD_OCTETS}`);
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    for (let at = 0; at < records.byteLength; at += RECORD_OCTETS)
      this.#put(
        view.getUint32(at),
        view.getUint32(at + 4),
        view.getUint32(at + 8),
        view.getUint32(at + 12),
        storedExpiry(view.getUint32(at + 16)),
      );
  }

  /** The packed records whose hash (first four bytes as a number) is in `from` (inclusive) … `to` (exclusive). */
  packed(from = 0, to = HASHES): Uint8Array {
    const words = this.#words;
    const start = this.#home(from) * WORDS;
    let end = start;
    let count = 0;
    for (; end < words.length; end += WORDS) {
      if (word(words, end + 4) === EMPTY) {
        if (end >= this.#home(to - 1) * WORDS) break;
        continue;
      }
      if (word(words, end) >= to) break;
      if (word(words, end) >= from) count++;
    }
    const records = new Uint8Array(count * RECORD_OCTETS);
    const view = new DataView(records.buffer);
    for (let at = start, out = 0; at < end; at += WORDS) {
      if (word(words, at + 4) === EMPTY || word(words, at) < from) continue;
      for (let i = 0; i < 4; i++) view.setUint32(out + i * 4, word(words, at + i));
      view.setUint32(out + 16, word(words, at + 4) === NEVER ? 0 : word(words, at + 4));
      out += RECORD_OCTETS;
    }
    return records;
  }

  /** Whether the entries, read one by one, come to the digest that every change has kept up. */
  isSound(): boolean {
    const words = this.#words;
    const digest = new TableDigest();
    for (let at = 0; at < words.length; at += WORDS) {
      if (word(words, at + 4) === EMPTY) continue;
      toggle(digest, words, at);
    }
    return digest.toString() === this.digest;
  }

  #parsed(key: string): readonly [number, number, number, number] {
    const words = this.#key;
    readKey(key, words);
    return [word(words, 0), word(words, 1), word(words, 2), word(words, 3)];
  }

  #home(hash: number): number {
    return Math.min(Math.floor((hash * this.#homes) / HASHES), this.#homes - 1);
  }

  #find(a: number, b: number, c: number, d: number): number {
    const words = this.#words;
    for (let at = this.#home(a) * WORDS; at < words.length; at += WORDS) {
      if (word(words, at + 4) === EMPTY || word(words, at) > a) return -1;
      if (word(words, at) !== a) continue;
      if (word(words, at + 1) === b && word(words, at + 2) === c && word(words, at + 3) === d)
        return at / WORDS;
    }
    return -1;
  }

  #put(a: number, b: number, c: number, d: number, expiry: number): void {
    this.#earliest = Math.min(this.#earliest, expiry);
    const known = this.#find(a, b, c, d);
    if (known >= 0) {
      this.#digest.toggle(a, b, c, d, expiry);
      this.#digest.toggle(a, b, c, d, word(this.#words, known * WORDS + 4));
      this.#words[known * WORDS + 4] = expiry;
      return;
    }
    if (this.#size >= this.#homes * FULL) this.#rebuild(Math.ceil(this.#homes * 1.5), 0);
    while (!this.#insert(a, b, c, d, expiry)) this.#rebuild(this.#homes * 2, 0);
    // a table that grew has made its digest anew, of what was in it by then
    this.#digest.toggle(a, b, c, d, expiry);
  }

  /** Puts an absent key in its place, pushing greater ones on. @returns false if the tail has no room for that */
  #insert(a: number, b: number, c: number, d: number, expiry: number): boolean {
    const words = this.#words;
    let at = this.#home(a) * WORDS;
    while (at < words.length && word(words, at + 4) !== EMPTY && word(words, at) <= a) at += WORDS;
    let free = at;
    while (free < words.length && word(words, free + 4) !== EMPTY) free += WORDS;
    if (free >= words.length) return false;
    words.copyWithin(at + WORDS, at, free);
    words[at] = a;
    words[at + 1] = b;
    words[at + 2] = c;
    words[at + 3] = d;
    words[at + 4] = expiry;
    this.#size++;
    return true;
  }

  /** Takes an entry out, and moves back those behind it that are not at home. */
  #removeAt(slot: number): void {
    const words = this.#words;
    let next = slot + 1;
    while (
      next * WORDS < words.length &&
      word(words, next * WORDS + 4) !== EMPTY &&
      this.#home(word(words, next * WORDS)) < next
    )
      next++;
    words.copyWithin(slot * WORDS, (slot + 1) * WORDS, next * WORDS);
    words.fill(EMPTY, (next - 1) * WORDS, next * WORDS);
    this.#size--;
  }

  /** Moves what has not expired by `now` into a table of another capacity: one pass, as both are in order. */
  #rebuild(homes: number, now: number): void {
    const old = this.#words;
    for (let wanted = homes; ; wanted *= 2) {
      this.#homes = wanted;
      this.#words = new Uint32Array(slotsFor(wanted) * WORDS);
      if (this.#fill(old, now)) return;
    }
  }

  #fill(old: Uint32Array, now: number): boolean {
    const words = this.#words;
    let free = 0;
    let size = 0;
    let earliest = NEVER;
    const digest = new TableDigest();
    for (let at = 0; at < old.length; at += WORDS) {
      const expiry = word(old, at + 4);
      if (expiry === EMPTY || expiry <= now) continue;
      free = Math.max(free, this.#home(word(old, at)) * WORDS);
      if (free >= words.length) return false;
      for (let i = 0; i < WORDS; i++) words[free + i] = word(old, at + i);
      toggle(digest, old, at);
      free += WORDS;
      size++;
      earliest = Math.min(earliest, expiry);
    }
    this.#size = size;
    this.#earliest = earliest;
    this.#digest = digest;
    return true;
  }
}

function word(words: Uint32Array, at: number): number {
  return words[at] as number;
}

function homesFor(entries: number): number {
  return Math.max(64, Math.ceil(entries / LOADED));
}

function slotsFor(homes: number): number {
  return homes + 64 + (homes >>> 6);
}

function toggle(digest: TableDigest, words: Uint32Array, at: number): void {
  digest.toggle(
    word(words, at),
    word(words, at + 1),
    word(words, at + 2),
    word(words, at + 3),
    word(words, at + 4),
  );
}
