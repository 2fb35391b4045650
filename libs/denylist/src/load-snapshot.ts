import { setImmediate as nextTurn } from 'node:timers/promises';
import { DenyTable } from './deny-table.ts';
import { ListState } from './list-state.ts';
import { RECORD_OCTETS } from './packed-records.ts';
import type { DenyListSource } from './source.ts';

/**
 * Loads a snapshot. Its pages may come from several replicas of the authority: the lowest number of them holds for all,
 * changes go on top; and until those up to `highest` are in it, it is not the list of any moment.
 */
export async function loadSnapshot(
  source: Pick<DenyListSource, 'snapshot'>,
  closing: AbortSignal,
): Promise<{ readonly state: ListState; readonly highest: number }> {
  const pages: Uint8Array[] = [];
  let lowest = Number.POSITIVE_INFINITY;
  let highest = 0;
  let cursor: string | undefined;
  do {
    const page = await source.snapshot(cursor);
    closing.throwIfAborted();
    pages.push(Buffer.from(page.entries, 'base64'));
    lowest = Math.min(lowest, page.number);
    highest = Math.max(highest, page.number);
    cursor = page.next;
  } while (cursor !== undefined);
  const table = new DenyTable(pages.reduce((sum, page) => sum + page.byteLength, 0) / RECORD_OCTETS);
  for (const page of pages) {
    table.load(page);
    await nextTurn();
  }
  return { state: new ListState(table, lowest), highest };
}
