import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { revokeCertificates, uuidv7 } from '@signet/contracts';
import { parseConfig } from '@signet/service';
import { openTestFixture, SwitchableStore } from '@signet/service/testing';
import type { Collection, CollectionSpec, Store, Stored } from '@signet/store';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startAdminApi } from '../src/app.ts';
import { adminApiConfig } from '../src/config.ts';
import { type AuditEntry, auditEntries, putAudit } from '../src/domain/audit/audit-log.ts';
import { newToken } from '../src/domain/token/api-token.ts';

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

const PATH = '/v1/accounts/acme/certificates/0a/revoke';

/** The API, with the collection of the audit on a store that can be taken away from it alone. */
async function start() {
  const fixture = stack.use(await openTestFixture());
  const { store } = fixture.deps;
  const switchable = new SwitchableStore(store);
  const divided: Store = {
    collection: <T extends Stored, I extends string>(spec: CollectionSpec<T, I>): Promise<Collection<T, I>> =>
      (spec.name === auditEntries.name ? switchable : store).collection(spec),
    failure: () => store.failure(),
    serverTime: () => store.serverTime(),
    unsentMs: () => store.unsentMs(),
    [Symbol.asyncDispose]: async () => {},
  };
  const dataDir = await mkdtemp(join(tmpdir(), 'signet-audit-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const token = newToken();
  const config = parseConfig(adminApiConfig, {
    SIGNET_ADMIN_PORT: '0',
    SIGNET_ADMIN_TOKEN: token,
    SIGNET_DATA_DIR: dataDir,
    SIGNET_ACCOUNT: 'acme',
  });
  const api = stack.use(await startAdminApi(config, { ...fixture.deps, store: divided }));
  const audit = await store.collection(auditEntries);
  return {
    ...{ bus: fixture.deps.bus, audit, dataDir, switchable },
    entries: async () => (await audit.find({ index: 'byAccount', equals: { account: 'acme' } })).items,
    call: (method: string, path: string, body?: object) =>
      fetch(`${api.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}

describe('the audit of a change', () => {
  it('is there before the change is made, without an outcome, and has it afterwards, in one entry', async () => {
    const at = await start();
    const during: (readonly AuditEntry[])[] = [];
    stack.use(
      await at.bus.serve(revokeCertificates, async () => {
        during.push(await at.entries());
        throw new Error('test: nothing more is needed');
      }),
    );
    const answer = await at.call('POST', PATH, { reason: 'keyCompromise' });
    expect(during).toHaveLength(1);
    expect(during[0]).toMatchObject([{ method: 'POST', path: PATH, account: 'acme' }]);
    expect(during[0]?.[0]).not.toHaveProperty('status');
    const [entry, ...others] = await at.entries();
    expect(others).toEqual([]);
    expect(entry).toMatchObject({ id: during[0]?.[0]?.id, path: PATH, status: answer.status });
  });

  it('that can be written neither to the store nor to the disk stops the call with 503 before anything is changed', async () => {
    const at = await start();
    let changes = 0;
    stack.use(
      await at.bus.serve(revokeCertificates, async () => {
        changes++;
        throw new Error('test: nothing more is needed');
      }),
    );
    await mkdir(at.dataDir, { recursive: true });
    await rm(join(at.dataDir, 'admin-api'), { recursive: true, force: true });
    await writeFile(join(at.dataDir, 'admin-api'), 'no folder');
    at.switchable.away = true;
    const answer = await at.call('POST', PATH, { reason: 'keyCompromise' });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(await answer.json()).toMatchObject({
      code: 'unavailable',
      detail: 'the audit log cannot be written: nothing was changed; try again later',
    });
    expect(changes).toBe(0);
    at.switchable.away = false;
    await at.call('POST', PATH, { reason: 'keyCompromise' });
    expect(changes).toBe(1);
  });

  it('waits on the disk while only the store is unavailable: the change is made, and its entry follows', async () => {
    const at = await start();
    let changes = 0;
    stack.use(
      await at.bus.serve(revokeCertificates, async () => {
        changes++;
        throw new Error('test: nothing more is needed');
      }),
    );
    at.switchable.away = true;
    const { status } = await at.call('POST', PATH, { reason: 'keyCompromise' });
    expect(changes).toBe(1);
    at.switchable.away = false;
    await vi.waitFor(async () => expect(await at.entries()).toMatchObject([{ path: PATH, status }]), 20_000);
  });

  it('that a process died in is shown by the API, without a status', async () => {
    const at = await start();
    const time = Date.now();
    const intent = { id: uuidv7(time), at: new Date(time).toISOString(), account: 'acme' };
    await putAudit(at.audit, {
      ...intent,
      method: 'POST',
      path: PATH,
      address: '192.0.2.1',
      operator: 'ada',
    });
    const { items } = (await (await at.call('GET', '/v1/accounts/acme/audit')).json()) as { items: object[] };
    expect(items).toEqual([{ ...intent, method: 'POST', path: PATH, address: '192.0.2.1', operator: 'ada' }]);
  });
});

it('an outcome is never taken back, in whatever order intent and outcome are written', async () => {
  const { audit } = await start();
  const time = Date.now();
  const intent: AuditEntry = {
    ...{ id: uuidv7(time), at: new Date(time).toISOString(), account: 'acme' },
    ...{ method: 'POST', path: PATH, address: '192.0.2.1' },
  };
  await putAudit(audit, { ...intent, status: 200 });
  await putAudit(audit, intent);
  await putAudit(audit, { ...intent, status: 500 });
  expect(await audit.get(intent.id)).toMatchObject({ status: 200 });
});
