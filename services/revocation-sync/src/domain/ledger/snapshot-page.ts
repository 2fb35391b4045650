import type { DenyTable } from '@signet/denylist';

/** Entries in a page, about: with base64 some 440 kB, which fits a message of NATS. */
const PAGE_ENTRIES = 16_384;
const HASHES = 2 ** 32;

/**
 * The page of a snapshot that begins at `cursor`, the first hash in it. Pages are ranges of hashes, so that each replica
 * of the authority can serve each of them. Undefined where the cursor is none.
 */
export function snapshotPage(
  table: DenyTable,
  cursor: string | undefined,
): { readonly entries: string; readonly next?: string } | undefined {
  if (cursor !== undefined && !/^[0-9a-f]{8}$/.test(cursor)) return undefined;
  const from = cursor === undefined ? 0 : Number.parseInt(cursor, 16);
  const width = Math.ceil((HASHES * PAGE_ENTRIES) / Math.max(table.size, PAGE_ENTRIES));
  const to = Math.min(HASHES, from + width);
  const entries = Buffer.from(table.packed(from, to)).toString('base64');
  return { entries, ...(to < HASHES ? { next: to.toString(16).padStart(8, '0') } : {}) };
}
