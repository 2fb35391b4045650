import { createHash } from 'node:crypto';
import { DenyTable, packRecords } from '@signet/denylist';
import { describe, expect, it } from 'vitest';
import { snapshotPage } from './snapshot-page.ts';

const keys = Array.from({ length: 100_000 }, (_, n) =>
  createHash('sha256').update(String(n)).digest('hex').slice(0, 32),
);

function tableOf(expected: number) {
  const table = new DenyTable(expected);
  table.load(packRecords(keys.map((key) => ({ key, expiresAt: 0 }))));
  return table;
}

describe('pages of a snapshot', () => {
  it('hold each entry once, in pages that fit a message, whichever replica serves them', () => {
    const replicas = [tableOf(keys.length), tableOf(400_000)];
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = snapshotPage(replicas[pages % 2] ?? new DenyTable(), cursor);
      if (page === undefined) throw new Error('cursor');
      expect(page.entries.length).toBeLessThan(600_000);
      const records = Buffer.from(page.entries, 'base64');
      for (let at = 0; at < records.length; at += 20) seen.push(records.toString('hex', at, at + 16));
      cursor = page.next;
      pages++;
    } while (cursor !== undefined);
    expect(pages).toBe(7);
    expect(seen.toSorted()).toEqual(keys.toSorted());
  });

  it('of an empty list are one', () => {
    expect(snapshotPage(new DenyTable(), undefined)).toEqual({ entries: '' });
  });

  it.each(['', 'zz', '1', '100000000', '-0000001'])('are none for the cursor "%s"', (cursor) => {
    expect(snapshotPage(new DenyTable(), cursor)).toBeUndefined();
  });
});
