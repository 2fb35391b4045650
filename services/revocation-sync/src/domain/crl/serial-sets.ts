import { DenyTable, RECORD_OCTETS } from '@signet/denylist';
import { all, type Collection } from '@signet/store';
import { z } from 'zod';
import { snapshotPage } from '../ledger/snapshot-page.ts';

/** A page of the keys of what a CRL lists. */
export const SetPage = z.object({
  /** `<set>/<page>`. */
  id: z.string(),
  /** Packed keys, base64. */
  records: z.string(),
});
export type SetPage = z.infer<typeof SetPage>;

export type SetPages = Collection<SetPage, never>;

/** Keeps the keys of what a CRL lists: 27 bytes each, in pages. */
export async function saveSet(pages: SetPages, name: string, table: DenyTable): Promise<void> {
  let cursor: string | undefined;
  let index = 0;
  do {
    const page = snapshotPage(table, cursor);
    if (page === undefined) throw new RangeError(`cursor: ${cursor} is none`);
    const id = `${name}/${String(index++).padStart(6, '0')}`;
    if ((await pages.get(id)) === undefined) await pages.insert({ id, records: page.entries });
    cursor = page.next;
  } while (cursor !== undefined);
}

export async function loadSet(pages: SetPages, name: string | undefined): Promise<DenyTable> {
  const all: Buffer[] = [];
  if (name !== undefined)
    for await (const { records } of pagesOf(pages, name)) all.push(Buffer.from(records, 'base64'));
  // pages are in the order of their hashes: room for all of them has to be there from the start
  const table = new DenyTable(all.reduce((sum, { length }) => sum + length / RECORD_OCTETS, 0));
  for (const records of all) table.load(records);
  return table;
}

export async function removeSet(pages: SetPages, name: string | undefined): Promise<void> {
  if (name === undefined) return;
  const ids: string[] = [];
  for await (const { id } of pagesOf(pages, name)) ids.push(id);
  for (const id of ids) await pages.remove(id);
}

function pagesOf(pages: SetPages, name: string): AsyncGenerator<SetPage> {
  return all(pages, { from: `${name}/`, to: `${name}0`, limit: 8 });
}

/** The keys of a set, some thousands at a time. */
export function* keysOf(table: DenyTable): Generator<string[]> {
  let cursor: string | undefined;
  do {
    const page = snapshotPage(table, cursor);
    if (page === undefined) return;
    const records = Buffer.from(page.entries, 'base64');
    const keys: string[] = [];
    for (let at = 0; at < records.length; at += RECORD_OCTETS)
      keys.push(records.toString('hex', at, at + 16));
    yield keys;
    cursor = page.next;
  } while (cursor !== undefined);
}
