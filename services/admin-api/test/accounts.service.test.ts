import type { SignetEvent } from '@signet/contracts';
import { openTestFixture } from '@signet/service/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { accountRecords, adoptAccounts } from '../src/domain/account/account.ts';
import { auditEntries } from '../src/domain/audit/audit-log.ts';
import { apiTokens } from '../src/domain/token/api-token.ts';
import { startTestApi, type TestApi } from './api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
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
  await adoptAccounts({ accounts, audit, tokens, now: Date.now() });
  expect((await accounts.find()).items.map(({ id }) => id)).toEqual(['acme', 'acme-2', 'buyer', 'default']);
});
