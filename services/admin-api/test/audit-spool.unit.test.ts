import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { uuidv7 } from '@signet/contracts';
import { StoreError } from '@signet/store';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AuditSpool } from '../src/adapters/audit-spool.ts';
import { type AuditEntry, auditEntries } from '../src/domain/audit/audit-log.ts';
import { startTestApi } from './api.ts';

let folder: string;
let file: string;
/** What the store has, and whether it answers. */
let stored: Map<string, AuditEntry>;
let isAway: boolean;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signet-audit-'));
  file = join(folder, 'admin-api', 'audit-spool.jsonl');
  [stored, isAway] = [new Map(), false];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const put = async (entry: AuditEntry) => {
  if (isAway) throw new StoreError('unavailable', 'store: away');
  if (stored.get(entry.id)?.status === undefined) stored.set(entry.id, entry);
};
const spool = () => new AuditSpool(file, put);
const entry = (path: string): AuditEntry => ({
  ...{ id: uuidv7(), at: new Date().toISOString(), account: 'acme', method: 'POST' },
  ...{ path, status: 201, address: '192.0.2.1', tokenId: '0'.repeat(16), operator: 'ada' },
});

describe('audit entries while the store is unavailable', () => {
  it('wait on the disk, for their owner alone, and are all written once it is back, by another process too', async () => {
    const first = spool();
    await first.write(entry('/before'));
    isAway = true;
    await Promise.all(Array.from({ length: 300 }, (_, i) => first.write(entry(`/during/${i}`))));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expect(first.flush()).rejects.toMatchObject({ code: 'unavailable' });
    expect((await readFile(file, 'utf8')).match(/^\{/gm)).toHaveLength(300);
    isAway = false;
    const restarted = spool();
    await restarted.flush();
    expect([...stored.values()].map(({ path }) => path)).toHaveLength(301);
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
    await restarted.flush();
    expect(stored.size).toBe(301);
  });

  it('are one where they were written twice, and a line that a crash cut off hides none', async () => {
    const once = entry('/twice');
    stored.set(once.id, once);
    isAway = true;
    await spool().write(once);
    await appendFile(file, '{"id":"0195');
    await spool().write(entry('/after'));
    isAway = false;
    await spool().flush();
    expect([...stored.values()].map(({ path }) => path)).toEqual(['/twice', '/after']);
  });
});

describe('a change that began before the store went', () => {
  it('is one entry with its outcome, wherever either waited', async () => {
    const { status: _, ...intent } = entry('/changed');
    await spool().write(intent);
    isAway = true;
    await spool().write({ ...intent, status: 201 });
    const other = entry('/began-and-ended-meanwhile');
    const { status, ...otherIntent } = other;
    await spool().write(otherIntent);
    await spool().write({ ...otherIntent, status });
    const { status: __, ...died } = entry('/died');
    await spool().write(died);
    isAway = false;
    await spool().flush();
    expect([...stored.values()].map((one) => [one.path, one.status])).toEqual([
      ['/changed', 201],
      ['/began-and-ended-meanwhile', 201],
      ['/died', undefined],
    ]);
  });
});

it('what waits on the disk of an API that died is in its audit log after the next start', async () => {
  await using api = await startTestApi();
  const waiting = entry('/v1/accounts/acme/devices');
  const dataDir = join(api.fixture.dataDir, 'admin-api');
  const next = new AuditSpool(join(dataDir, 'admin-api', 'audit-spool.jsonl'), async () => {
    throw new StoreError('unavailable', 'store: away');
  });
  await next.write(waiting);
  await api.startReplica();
  const audit = await api.fixture.deps.store.collection(auditEntries);
  await vi.waitFor(async () => expect(await audit.get(waiting.id)).toEqual(waiting), 10_000);
});
