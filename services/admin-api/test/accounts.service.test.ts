import { authorizeToken, type SignetEvent } from '@signet/contracts';
import { openTestFixture } from '@signet/service/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { accountRecords } from '../src/domain/account/account.ts';
import { adoptAccounts } from '../src/domain/account/adopt-accounts.ts';
import { auditEntries } from '../src/domain/audit/audit-log.ts';
import { apiTokens } from '../src/domain/token/api-token.ts';
import { startTestApi, type TestApi } from './api.ts';

let api: TestApi;
let time: number;
beforeEach(async () => {
  time = Date.parse('2026-03-01T12:00:00.000Z');
  api = await startTestApi({ accounts: [], fixture: { now: () => time } });
});
afterEach(() => api[Symbol.asyncDispose]());

const listed = async () =>
  ((await api.call('GET', '/v1/accounts')).body.items as { account: string }[]).map(({ account }) => account);
const make = (account: string, token?: string) =>
  api.call('POST', '/v1/accounts', { body: { account }, ...(token === undefined ? {} : { token }) });

it('an account is made once, listed and shown; `default` is there from the start', async () => {
  expect(await listed()).toEqual(['default']);
  expect(await make('acme')).toMatchObject({ status: 201, body: { account: 'acme', state: 'active' } });
  expect(await make('acme')).toMatchObject({ status: 409, body: { code: 'account-exists' } });
  expect(await make('signet')).toMatchObject({ status: 400, body: { code: 'invalid-input' } });
  expect(await make('Acme')).toMatchObject({ status: 400, body: { code: 'invalid-input' } });
  expect(await listed()).toEqual(['acme', 'default']);
  expect(await api.call('GET', '/v1/accounts/amce')).toMatchObject({
    status: 404,
    body: { code: 'unknown-account', detail: 'account: there is no account "amce"' },
  });
});

it('operators of a suspended account read and change nothing, until the platform resumes it', async () => {
  const seen: SignetEvent[] = [];
  const types = ['ACCOUNT_CREATED', 'ACCOUNT_SUSPENDED', 'ACCOUNT_RESUMED'] as const;
  await using _ = await api.fixture.deps.bus.tail({ types: [...types], from: 'start' }, (event) => {
    if (event.account === 'acme') seen.push(event);
  });
  await make('acme');
  const token = await api.tokenFor({ account: 'acme', role: 'admin' });
  const act = (verb: string, by?: string) =>
    api.call('POST', `/v1/accounts/acme/${verb}`, {
      body: verb === 'suspend' ? { reason: 'unpaid' } : {},
      ...(by === undefined ? {} : { token: by }),
    });
  expect((await act('suspend', token)).status).toBe(403);
  expect(await make('other', token)).toMatchObject({ status: 403 });
  for (const _ of [1, 2])
    expect(await act('suspend')).toMatchObject({
      status: 200,
      body: { state: 'suspended', reason: 'unpaid' },
    });
  const write = () =>
    api.call('POST', '/v1/accounts/acme/devices/actions/block', { token, body: { deviceIds: ['dev-1'] } });
  expect(await write()).toMatchObject({
    status: 403,
    body: {
      code: 'account-suspended',
      detail: 'account: "acme" is suspended (unpaid): its operators read only',
    },
  });
  const csv = await fetch(new URL('/v1/accounts/acme/devices/claims', api.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'text/csv' },
    body: 'fingerprint\n',
  });
  expect([csv.status, ((await csv.json()) as { code: string }).code]).toEqual([403, 'account-suspended']);
  expect(await api.call('GET', '/v1/accounts/acme', { token })).toMatchObject({
    status: 200,
    body: { state: 'suspended' },
  });
  expect((await act('resume', token)).status).toBe(403);
  expect(await act('resume')).toMatchObject({ status: 200, body: { state: 'active' } });
  expect((await write()).body.code).not.toBe('account-suspended');
  expect(await api.call('POST', '/v1/accounts/amce/suspend', { body: {} })).toMatchObject({ status: 404 });
  expect(await listed()).toEqual(['acme', 'default']);
  await vi.waitFor(() => expect(seen.map(({ type }) => type)).toEqual(types));
});

it('a change under a name that is no account is refused, and makes none', async () => {
  const unknown = { code: 'unknown-account', detail: 'account: there is no account "amce"' };
  const block = { body: { deviceIds: ['dev-1'] } };
  expect(await api.call('POST', '/v1/accounts/amce/devices/actions/block', block)).toMatchObject({
    status: 404,
    body: unknown,
  });
  const csv = await fetch(new URL('/v1/accounts/amce/devices/claims', api.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${api.admin}`, 'content-type': 'text/csv' },
    body: 'fingerprint\n',
  });
  expect([csv.status, await csv.json()]).toMatchObject([404, unknown]);
  const token = { name: 'line', grants: [{ account: 'amce', role: 'factory' }] };
  expect(await api.call('POST', '/v1/tokens', { body: token })).toMatchObject({
    status: 404,
    body: { code: 'unknown-account', detail: 'grants.0.account: there is no account "amce"' },
  });
  const registrar = await api.tokenFor({ account: '*', role: 'registrar' });
  const asked = { token: registrar, permission: 'devices:register', account: 'amce' } as const;
  await expect(api.fixture.deps.bus.request(authorizeToken, asked)).rejects.toMatchObject({
    code: 'forbidden',
    message: 'account: there is no account "amce"',
  });
  expect(await listed()).toEqual(['default']);
});

it('live devices are cut off where a suspension says so, and the resumption tells that it is over', async () => {
  const seen: SignetEvent[] = [];
  await using _ = await api.fixture.deps.bus.tail(
    { types: ['ACCOUNT_SUSPENDED', 'ACCOUNT_RESUMED'], from: 'start' },
    (event) => void seen.push(event),
  );
  await make('acme');
  const act = (verb: string, body: object = {}) => api.call('POST', `/v1/accounts/acme/${verb}`, { body });
  expect((await act('suspend', { reason: 'unpaid' })).body).not.toHaveProperty('devices');
  expect((await act('suspend', { reason: 'stolen', devices: true })).body).toMatchObject({ devices: true });
  // without the flag nothing is given back
  expect((await act('suspend', { reason: 'unpaid' })).body).toMatchObject({
    devices: true,
    reason: 'stolen',
  });
  expect((await act('resume')).body).not.toHaveProperty('devices');
  await vi.waitFor(() => expect(seen).toHaveLength(3));
  expect(seen.map(({ type, data }) => [type, (data as { devices?: true }).devices])).toEqual([
    ['ACCOUNT_SUSPENDED', undefined],
    ['ACCOUNT_SUSPENDED', true],
    ['ACCOUNT_RESUMED', undefined],
  ]);
});

it('an account is deleted in two steps seven days apart, and can be kept until the second', async () => {
  await make('acme');
  await make('other');
  const erase = (account = 'acme') => api.call('DELETE', `/v1/accounts/${account}`);
  const mark = (account = 'acme') => api.call('POST', `/v1/accounts/${account}/deletion`, { body: {} });
  const tenant = await api.tokenFor({ account: 'acme', role: 'admin' });
  const both = await api.tokenFor({ account: 'acme', role: 'viewer' }, { account: 'other', role: 'viewer' });
  const queue = { body: { kind: 'pull' } };
  await api.call('PUT', '/v1/accounts/acme/queues/erp', queue);
  await api.call('PUT', '/v1/accounts/other/queues/erp', queue);

  expect(await erase()).toMatchObject({ status: 409, body: { code: 'deletion-not-marked' } });
  const byTenant = { token: tenant, body: {} };
  expect((await api.call('POST', '/v1/accounts/acme/deletion', byTenant)).status).toBe(403);
  const marked = { state: 'suspended', deletableFrom: '2026-03-08T12:00:00.000Z' };
  expect(await mark()).toMatchObject({ status: 200, body: marked });
  time += 86_400_000;
  expect(await mark()).toMatchObject({ status: 200, body: marked });
  expect(await erase()).toMatchObject({ status: 409, body: { code: 'deletion-too-early' } });
  expect((await api.call('POST', '/v1/accounts/acme/resume', { body: {} })).body).not.toHaveProperty(
    'deletableFrom',
  );
  time += 7 * 86_400_000;
  expect(await erase()).toMatchObject({ status: 409, body: { code: 'deletion-not-marked' } });

  await mark();
  time += 7 * 86_400_000;
  expect((await api.call('DELETE', '/v1/accounts/acme', { token: tenant })).status).toBe(403);
  expect(await erase()).toMatchObject({ status: 200, body: { state: 'deleted' } });
  const gone = { status: 403, body: { code: 'account-deleted' } };
  for (const call of [
    make('acme'),
    api.call('POST', '/v1/accounts/acme/resume', { body: {} }),
    api.call('PUT', '/v1/accounts/acme/queues/new', queue),
    api.call('POST', '/v1/tokens', { body: { name: 't', grants: [{ account: 'acme', role: 'viewer' }] } }),
  ])
    expect(await call).toMatchObject(gone);
  await vi.waitFor(async () => {
    expect((await api.call('GET', '/v1/accounts/acme/queues')).body).toEqual({ items: [] });
    expect((await api.call('GET', '/v1/accounts/acme', { token: tenant })).status).toBe(401);
  });
  expect((await api.call('GET', '/v1/accounts/other', { token: both })).status).toBe(200);
  expect((await api.call('GET', '/v1/accounts/acme/queues', { token: both })).status).toBe(403);
  expect((await api.call('GET', '/v1/accounts/other/queues')).body).toMatchObject({
    items: [{ name: 'erp' }],
  });
});

it('names that were in use before accounts were objects are accounts after the upgrade, and what was only mistyped is none', async () => {
  await using fixture = await openTestFixture();
  const { store } = fixture.deps;
  const accounts = await store.collection(accountRecords);
  const audit = await store.collection(auditEntries);
  const tokens = await store.collection(apiTokens);
  const entry = (n: number, account: string, method: string, status: number) =>
    audit.insert({
      id: `0195511c-0e00-7000-8000-00000000000${n}`,
      at: '2026-03-01T12:00:00.000Z',
      path: `/v1/accounts/${account}/groups`,
      address: '127.0.0.1',
      ...{ account, method, status },
    });
  await entry(1, 'acme', 'GET', 200);
  await entry(2, 'acme', 'POST', 201);
  await entry(3, 'acme-2', 'POST', 201);
  await entry(4, 'amce', 'GET', 200);
  await entry(5, 'amce', 'POST', 404);
  await entry(6, '*', 'POST', 201);
  const token = {
    name: 't',
    secretHash: 'ab'.repeat(32),
    createdAt: '2026-03-01T12:00:00.000Z',
    createdBy: 'x',
  };
  await tokens.insert({ ...token, id: '00000000000000a1', grants: [{ account: 'buyer', role: 'viewer' }] });
  await tokens.insert({ ...token, id: '00000000000000a2', grants: [{ account: '*', role: 'admin' }] });
  await adoptAccounts({ accounts, audit, tokens, first: 'plant', now: Date.now() });
  expect((await accounts.find()).items.map(({ id }) => id)).toEqual([
    ...['acme', 'acme-2', 'buyer', 'default', 'plant'],
  ]);
});
