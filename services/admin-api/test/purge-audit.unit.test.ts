import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { uuidv7 } from '@signet/contracts';
import { openStore } from '@signet/store';
import { afterAll, describe, expect, it } from 'vitest';
import { auditEntries, purgeAudit } from '../src/domain/audit/audit-log.ts';

const DAY = 86_400_000;
const directory = mkdtempSync(join(tmpdir(), 'signet-audit-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the audit log', () => {
  it('keeps entries for as long as it is set to, and not longer, however many replicas purge', async () => {
    await using store = await openStore({
      url: `sqlite:${join(directory, 'x.db')}`,
      publish: async () => undefined,
    });
    const audit = await store.collection(auditEntries);
    const now = Date.UTC(2026, 0, 1);
    const insert = (time: number) =>
      audit.insert({
        id: uuidv7(time),
        at: new Date(time).toISOString(),
        account: 'acme',
        method: 'POST',
        path: '/v1/x',
        status: 200,
        address: '127.0.0.1',
      });
    await Promise.all(Array.from({ length: 450 }, (_, i) => insert(now - 400 * DAY - i)));
    await Promise.all([insert(now - 399 * DAY), insert(now), insert(now - 400 * DAY + 1)]);
    await Promise.all([purgeAudit(audit, now - 400 * DAY + 1), purgeAudit(audit, now - 400 * DAY + 1)]);
    const { items } = await audit.find({});
    expect(items.map(({ at }) => Date.parse(at)).toSorted()).toEqual([
      now - 400 * DAY + 1,
      now - 399 * DAY,
      now,
    ]);
    expect(await purgeAudit(audit, now - 400 * DAY)).toBe(0);
  });
});
