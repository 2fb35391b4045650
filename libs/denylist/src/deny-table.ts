/** 32-bit words of an entry: four of key, one of expiry. */
const WORDS = 5;
/** Octets of a packed record: 16 of key, 4 of expiry (Unix seconds, big-endian, 0 for never). */
export const RECORD_OCTETS = 20;

/** How full a table is when it has been loaded, and when it grows. */
const LOADED = 0.78;
const FULL = 0.86;
const EMPTY = 0;
const NEVER = 0xffffffff;
const HASHES = 2 ** 32;

/**
 * Denied keys with their expiry, in one ArrayBuffer: open addressing, 20 octets a slot, at most 28 octets an entry once
 * loaded. Keys are SHA-256 output, so their first four octets are the hash. A hash's home slot grows with the hash, and
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

  /** Octets of memory. */
  get bytes(): number {
    return this.#words.byteLength;
  }

  /** Adds a key, or gives it another expiry. */
  add(key: string, expiresAt: number): void {
    const [a, b, c, d] = parseKey(key);
    this.#put(a, b, c, d, stored(expiresAt));
  }

  /** @returns whether the key was there */
  lift(key: string): boolean {
    const [a, b, c, d] = parseKey(key);
    const slot = this.#find(a, b, c, d);
    if (slot < 0) return false;
    this.#removeAt(slot);
    if (this.#homes > homesFor(0) && this.#size < this.#homes / 4) this.fit();
    return true;
  }

  /** Whether the key is denied at `now` (Unix seconds). */
  has(key: string, now: number): boolean {
    const [a, b, c, d] = parseKey(key);
    const slot = this.#find(a, b, c, d);
    return slot >= 0 && word(this.#words, slot * WORDS + 4) > now;
  }

  /** Drops what has expired by `now` (Unix seconds). @returns how many */
  purge(now: number): number {
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

  /** Adds packed records. @throws RangeError if the octets are not a whole number of records */
  load(records: Uint8Array): void {
    if (records.byteLength % RECORD_OCTETS !== 0)
      throw new RangeError(`records: ${records.byteLength} octets are no whole number of ${RECORD_OCTETS}`);
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    for (let at = 0; at < records.byteLength; at += RECORD_OCTETS)
      this.#put(
        view.getUint32(at),
        view.getUint32(at + 4),
        view.getUint32(at + 8),
        view.getUint32(at + 12),
        stored(view.getUint32(at + 16)),
      );
  }

  /** The packed records whose hash (first four octets as a number) is in `from` (inclusive) … `to` (exclusive). */
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
      this.#words[known * WORDS + 4] = expiry;
      return;
    }
    if (this.#size >= this.#homes * FULL) this.#rebuild(Math.ceil(this.#homes * 1.5), 0);
    while (!this.#insert(a, b, c, d, expiry)) this.#rebuild(this.#homes * 2, 0);
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
    for (let at = 0; at < old.length; at += WORDS) {
      const expiry = word(old, at + 4);
      if (expiry === EMPTY || expiry <= now) continue;
      free = Math.max(free, this.#home(word(old, at)) * WORDS);
      if (free >= words.length) return false;
      for (let i = 0; i < WORDS; i++) words[free + i] = word(old, at + i);
      free += WORDS;
      size++;
      earliest = Math.min(earliest, expiry);
    }
    this.#size = size;
    this.#earliest = earliest;
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

/** Packs entries as {@link DenyTable.load} reads them. */
export function packRecords(
  entries: readonly { readonly key: string; readonly expiresAt: number }[],
): Uint8Array {
  const records = new Uint8Array(entries.length * RECORD_OCTETS);
  const view = new DataView(records.buffer);
  entries.forEach(({ key, expiresAt }, index) => {
    parseKey(key).forEach((part, i) => {
      view.setUint32(index * RECORD_OCTETS + i * 4, part);
    });
    view.setUint32(index * RECORD_OCTETS + 16, stored(expiresAt) === NEVER ? 0 : stored(expiresAt));
  });
  return records;
}

/** 0 marks an empty slot, so "never" is the greatest number; what lies past 2106 is never too. */
function stored(expiresAt: number): number {
  return expiresAt <= 0 || expiresAt >= NEVER ? NEVER : Math.floor(expiresAt);
}

function parseKey(key: string): readonly [number, number, number, number] {
  if (!/^[0-9a-f]{32}$/.test(key)) throw new RangeError(`key: "${key}" is not 32 lower-case hex digits`);
  return [
    Number.parseInt(key.slice(0, 8), 16),
    Number.parseInt(key.slice(8, 16), 16),
    Number.parseInt(key.slice(16, 24), 16),
    Number.parseInt(key.slice(24, 32), 16),
  ];
}
