import { TAG } from '../der/tags.ts';
import { elementLength, writeHeader } from '../der/writer.ts';
import { crlReasons } from './crl.ts';
import {
  beforeFirst,
  type CrlSegment,
  type EntryBounds,
  joinSegments,
  NEVER_ENDS,
  nextEntry,
  reasonCodeOf,
} from './segment.ts';

/** What becomes of the entries that were there. */
export type Merge = {
  /** Take the place of entries of the same certificates, and come last. */
  readonly changes: CrlSegment;
  /** Whether entries with `removeFromCRL` are listed (in a delta) or only take others away (in a complete CRL). */
  readonly listRemovals: boolean;
  /** Unix seconds: entries of certificates that ended before it leave; those of `changes` stay. */
  readonly endedBefore: number;
};

/** Where a part of the list lies within the signed bytes, for storing it. */
export type TbsChunk = { readonly start: number; readonly end: number; readonly ends: Uint32Array };
export type Tbs = {
  /** DER of the TBSCertList. */
  readonly tbs: Uint8Array;
  /** Parts of the list in order, nothing between them. */
  readonly chunks: readonly TbsChunk[];
  readonly entries: number;
};

/** Bytes of a chunk at most: in base64, with the ends of its entries, well below half a MiB. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Goes through the entries of a CRL once, whatever their number, and writes the list of the next one: entries are
 * copied byte by byte, none becomes an object.
 */
export class EntryMerger {
  readonly #merge: Merge;
  /** The last four bytes of changed serial numbers: nearly all entries are told from them at once. */
  readonly #suspects = new Set<number>();
  readonly #changed = new Set<string>();
  readonly #full: { readonly der: Uint8Array; readonly ends: Uint32Array }[] = [];
  #der = new Uint8Array(CHUNK_BYTES);
  #ends: number[] = [];
  #length = 0;
  #entries = 0;

  constructor(merge: Merge) {
    this.#merge = merge;
    const { der } = merge.changes;
    for (const bounds = beforeFirst(); nextEntry(der, bounds); ) {
      this.#suspects.add(tailOf(der, bounds));
      this.#changed.add(nameOf(der, bounds.serial, bounds.serialEnd));
    }
  }

  /** Entries that were listed so far. */
  add({ der, ends }: CrlSegment): void {
    const { endedBefore } = this.#merge;
    const bounds = beforeFirst();
    for (let i = 0; nextEntry(der, bounds); i++) {
      const end = ends[i] ?? NEVER_ENDS;
      if (end < endedBefore) continue;
      if (this.#suspects.has(tailOf(der, bounds)))
        if (this.#changed.has(nameOf(der, bounds.serial, bounds.serialEnd))) continue;
      this.#copy(der, bounds.start, bounds.end, end);
    }
  }

  /** The TBSCertList: `before` and `after` are what stands before and after the list of entries. */
  finish(before: Uint8Array, after: Uint8Array): Tbs {
    this.#end();
    return this.#write(before, after);
  }

  /** The list alone. */
  list(): CrlSegment {
    this.#end();
    return joinSegments(this.#full.splice(0));
  }

  #end(): void {
    const { changes, listRemovals } = this.#merge;
    const bounds = beforeFirst();
    for (let i = 0; nextEntry(changes.der, bounds); i++)
      if (listRemovals || reasonCodeOf(changes.der, bounds) !== crlReasons.removeFromCRL)
        this.#copy(changes.der, bounds.start, bounds.end, changes.ends[i] ?? NEVER_ENDS);
    this.#close();
  }

  #copy(der: Uint8Array, start: number, end: number, notAfter: number): void {
    if (this.#length + end - start > CHUNK_BYTES) this.#close();
    const target = this.#der;
    let to = this.#length;
    for (let from = start; from < end; from++) target[to++] = der[from] as number;
    this.#length = to;
    this.#ends.push(notAfter);
  }

  #close(): void {
    if (this.#length === 0) return;
    this.#full.push({ der: this.#der.subarray(0, this.#length), ends: Uint32Array.from(this.#ends) });
    this.#entries += this.#ends.length;
    this.#der = new Uint8Array(CHUNK_BYTES);
    this.#ends = [];
    this.#length = 0;
  }

  #write(before: Uint8Array, after: Uint8Array): Tbs {
    const listed = this.#full.reduce((sum, { der }) => sum + der.length, 0);
    // An empty list is left out (RFC 5280 §5.1.2.6).
    const list = listed === 0 ? 0 : elementLength(listed);
    const content = before.length + list + after.length;
    const tbs = new Uint8Array(elementLength(content));
    let at = writeHeader(tbs, 0, TAG.SEQUENCE, content);
    tbs.set(before, at);
    at += before.length;
    if (listed > 0) at = writeHeader(tbs, at, TAG.SEQUENCE, listed);
    const chunks: TbsChunk[] = [];
    for (const { der, ends } of this.#full.splice(0)) {
      tbs.set(der, at);
      chunks.push({ start: at, end: at + der.length, ends });
      at += der.length;
    }
    tbs.set(after, at);
    return { tbs, chunks, entries: this.#entries };
  }
}

/** A short list merged at once. */
export function mergeEntries(listed: CrlSegment, merge: Merge): CrlSegment {
  const merger = new EntryMerger(merge);
  merger.add(listed);
  return merger.list();
}

/** The last four bytes of a serial number, fewer where it has no more. */
function tailOf(der: Uint8Array, { serial, serialEnd }: EntryBounds): number {
  let tail = 0;
  for (let at = Math.max(serial, serialEnd - 4); at < serialEnd; at++)
    tail = (tail << 8) | (der[at] as number);
  return tail;
}

function nameOf(der: Uint8Array, start: number, end: number): string {
  return Buffer.from(der.buffer, der.byteOffset + start, end - start).toString('latin1');
}
