import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type Store } from '@signet/store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuthorityDocument } from '../authority/authority.ts';
import { serverCertificates } from '../authority/server-certificate.ts';
import { usedStatements } from '../authority/statement.ts';
import { renewals, reserveRenewal } from '../certificate/reservation.ts';
import { createGrant, grants } from '../grant/grant.ts';
import { type PurgeDeps, purge } from './purge.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const start = Date.UTC(2026, 0, 1);
const iso = (time: number) => new Date(time).toISOString();
const directory = mkdtempSync(join(tmpdir(), 'signet-purge-'));
let store: Store;
beforeAll(async () => {
  store = await openStore({ url: `sqlite:${join(directory, 'x.db')}`, publish: async () => undefined });
});
afterAll(async () => {
  await store?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function depsWith(documents: readonly AuthorityDocument[] = []) {
  const deps = {
    grants: await store.collection(grants),
    renewals: await store.collection(renewals),
    statements: await store.collection(usedStatements),
    serverCertificates: await store.collection(serverCertificates),
    readAuthorities: async () => documents,
  };
  return deps satisfies PurgeDeps;
}

const grantOf = async (account: string, deviceId: string, now: number) =>
  createGrant((await depsWith()).grants, {
    ...{ account, deviceId, profile: 'default', fingerprint: 'f'.repeat(64) },
    ...{ lifetimeMs: HOUR, now },
  });

describe('what can decide nothing any more', () => {
  it('goes, page by page, whichever of several replicas removes it', async () => {
    const deps = await depsWith();
    for (let i = 0; i < 230; i++) await grantOf('acme', `old-${i}`, start);
    await grantOf('acme', 'new', start + 30 * DAY);
    const done = await Promise.all([purge(deps, start + 30 * DAY + HOUR), purge(deps, start + 31 * DAY)]);
    expect(done.reduce((sum, { grants: count }) => sum + count, 0)).toBeGreaterThanOrEqual(230);
    const { items } = await deps.grants.find({});
    expect(items.map(({ deviceId }) => deviceId)).toEqual(['new']);
  });

  it('is not a grant that is made anew for its device at that moment', async () => {
    const deps = await depsWith();
    await grantOf('acme', 'pump-1', start);
    const now = start + 31 * DAY;
    const find: PurgeDeps['grants']['find'] = async (query) => {
      const page = await deps.grants.find(query);
      await grantOf('acme', 'pump-1', now);
      return page;
    };
    const remove: PurgeDeps['grants']['remove'] = (id, condition) => deps.grants.remove(id, condition);
    expect(await purge({ ...deps, grants: { find, remove } }, now)).toMatchObject({ grants: 0 });
    expect(await deps.grants.get('acme/pump-1')).toMatchObject({ createdAt: iso(now) });
  });

  it('is a renewal’s reservation once the same request would be no retry, and a statement once it is too old', async () => {
    const deps = await depsWith();
    const reservation = {
      publicKeyHash: 'a'.repeat(64),
      serialNumber: '5a'.repeat(16),
      authorityId: 'issuing',
      issuedAt: iso(start),
      notAfter: iso(start + 90 * DAY),
    };
    const wanted = { account: 'acme', deviceId: 'dev', currentSerialNumber: '5b'.repeat(16), reservation };
    await reserveRenewal(deps.renewals, wanted, start);
    await deps.statements.insert({ id: 'acme/1', statement: '{}', usedAt: iso(start) });
    const given = { authorityId: 'server-1', service: 'est-ca' };
    await deps.serverCertificates.insert({ id: '5a01', ...given, notAfter: iso(start) });
    await deps.serverCertificates.insert({ id: '5a02', ...given, notAfter: iso(start + 90 * DAY) });
    const before = await purge(deps, start + 24 * HOUR);
    expect([before.renewals, before.statements, before.serverCertificates]).toEqual([0, 0, 0]);
    expect(await purge(deps, start + 45 * DAY + 1)).toMatchObject({
      ...{ renewals: 1, statements: 1, serverCertificates: 1 },
    });
    const again = { ...reservation, serialNumber: '5c'.repeat(16), issuedAt: iso(start + 46 * DAY) };
    const made = await reserveRenewal(deps.renewals, { ...wanted, reservation: again }, start + 46 * DAY);
    expect(made.reservation.serialNumber).toBe(again.serialNumber);
  });

  it('F85: is no grant made since a root is being replaced: it tells who was handed the new one', async () => {
    const since = start + DAY;
    const next = {
      id: 'root-acme-2',
      kind: 'root',
      account: 'turning',
      state: 'active',
      createdAt: iso(since),
      replacement: { replaces: 'root-acme-1', since: iso(since) },
    } as AuthorityDocument;
    await grantOf('turning', 'before', start);
    await grantOf('turning', 'after', since + HOUR);
    const deps = await depsWith([next]);
    await purge(deps, start + 90 * DAY);
    const { items } = await deps.grants.find({});
    expect(items.map(({ deviceId }) => deviceId)).toContain('after');
    expect(items.map(({ deviceId }) => deviceId)).not.toContain('before');
  });
});
