import { randomFillSync } from 'node:crypto';
import { RECORD_OCTETS, type SnapshotPage } from '@signet/denylist';

/** Entries in a page, as the authority makes them. */
const PAGE = 16_384;

/** What a test of ten million random entries needs: the pages of their snapshot, and some of their keys. */
export type RandomSnapshot = {
  readonly pages: readonly SnapshotPage[];
  /** Hex, spread over the whole list. */
  readonly keys: readonly string[];
};

/** Makes a snapshot; nine in ten entries expire at `expiresAt` (Unix seconds), the others never. */
export function randomSnapshot(entries: number, keys: number, expiresAt: number): RandomSnapshot {
  const count = Math.ceil(entries / PAGE);
  const sample: string[] = [];
  const pages = Array.from({ length: count }, (_, index): SnapshotPage => {
    const size = Math.min(PAGE, entries - index * PAGE);
    const [from, to] = [index / count, (index + 1) / count].map((part) => Math.floor(part * 2 ** 32));
    const records = pageOf(size, from ?? 0, to ?? 0, expiresAt);
    for (let i = 0; i < Math.ceil(keys / count) && sample.length < keys; i++) {
      const at = Math.floor(Math.random() * size) * RECORD_OCTETS;
      sample.push(records.toString('hex', at, at + 16));
    }
    const next = index + 1 < count ? { next: String(index + 1) } : {};
    return { number: 1, entries: records.toString('base64'), ...next };
  });
  return { pages, keys: sample };
}

/** Records in the order of their hashes, which lie in `from` … `to`. */
function pageOf(size: number, from: number, to: number, expiresAt: number): Buffer {
  const records = randomFillSync(Buffer.allocUnsafe(size * RECORD_OCTETS));
  const hashes = Uint32Array.from({ length: size }, (_, i) => {
    const random = records.readUInt32BE(i * RECORD_OCTETS) / 2 ** 32;
    return from + Math.floor(random * (to - from));
  }).sort();
  for (let i = 0; i < size; i++) {
    records.writeUInt32BE(hashes[i] ?? 0, i * RECORD_OCTETS);
    records.writeUInt32BE(i % 10 === 0 ? 0 : expiresAt, i * RECORD_OCTETS + 16);
  }
  return records;
}
