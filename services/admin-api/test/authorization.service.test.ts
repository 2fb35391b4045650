import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Permission, Role } from '../src/domain/token/permission.ts';
import { ATTEMPTS_PER_MINUTE } from '../src/http/failed-attempts.ts';
import type { DescribedRoute } from '../src/http/route.ts';
import { allRoutes, describedRoutes, type RouteParts } from '../src/http/routes.ts';
import { startTestApi, type TestApi } from './api.ts';

/** Every route that there is; a new one is tested because it is in this list. Handlers are not called here. */
const routes = describedRoutes(allRoutes({} as RouteParts));
const guarded = routes.filter((route) => route.permission !== undefined);
const title = ({ method, path }: DescribedRoute) => `${method} ${path}`;

/** Which roles may do what, written down a second time: a slip in the first table shows here. */
const allowed: Record<Permission, readonly Role[]> = {
  'factory:sign': ['admin', 'factory'],
  'factory:read': ['admin', 'factory', 'operator', 'viewer'],
  'devices:read': ['admin', 'operator', 'viewer'],
  'devices:claim': ['admin', 'installer', 'operator'],
  'devices:write': ['admin', 'operator'],
  'devices:register': ['admin', 'operator', 'registrar'],
  'certificates:revoke': ['admin', 'operator'],
  'profiles:write': ['admin', 'operator'],
  'pki:write': ['admin'],
  'events:read': ['admin', 'operator', 'viewer'],
  'queues:write': ['admin', 'operator'],
  'denylist:write': ['admin', 'operator'],
  'audit:read': ['admin'],
  'tokens:write': ['admin'],
  'platform:write': ['admin'],
};

let api: TestApi;
const tokens = new Map<string, string>();

beforeAll(async () => {
  api = await startTestApi();
  for (const role of Role.options) {
    tokens.set(`${role}@acme`, await api.tokenFor({ account: 'acme', role }));
    tokens.set(`${role}@*`, await api.tokenFor({ account: '*', role }));
  }
});
afterAll(() => api[Symbol.asyncDispose]());

function pathIn(account: string, { path }: DescribedRoute): string {
  return path
    .replace('{account}', account)
    .replace('{deviceId}', 'dev-1')
    .replace('{serialNumber}', '0a0b')
    .replace('{authorityId}', 'x')
    .replace('{name}', 'x')
    .replace('{group}', 'x')
    .replace('{campaignId}', '0195511c-0e2b-7d11-9c5e-5a2f0e7c1b21')
    .replace('{updateId}', 'x')
    .replace('{requestId}', '0'.repeat(32))
    .replace('{id}', 'x');
}

let strangers = 0;
let replica = '';
/** Where a stranger is not yet one too many: each replica counts for itself. */
const strangersUrl = async () => {
  if (strangers++ % (ATTEMPTS_PER_MINUTE - 10) === 0) replica = await api.startReplica();
  return replica;
};

const statusOf = async (route: DescribedRoute, account: string, who: string | null) => {
  const path = `${who === null ? await strangersUrl() : api.url}${pathIn(account, route)}`;
  const token = who === null ? null : (tokens.get(who) ?? '');
  // A stream that opens does not end: its head is all that is asked here.
  if (route.contentType !== undefined) {
    const over = new AbortController();
    const sent = route.method === 'GET' ? {} : { body: 'fingerprint\n' };
    const headers = {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...('body' in sent ? { 'content-type': 'text/csv' } : {}),
    };
    const { method } = route;
    const { status } = await fetch(new URL(path, api.url), { method, ...sent, headers, signal: over.signal });
    over.abort();
    return { status, body: {} };
  }
  const body = route.method === 'GET' || route.method === 'DELETE' ? {} : { body: {} };
  return api.call(route.method, path, { token, ...body });
};

describe('who may call what', () => {
  it('knows every route', () => {
    expect(guarded.length).toBeGreaterThan(25);
    expect(routes.filter((route) => route.permission === undefined).map(title)).toEqual([
      'GET /openapi.json',
    ]);
  });

  it.each(guarded.map((route) => [title(route), route] as const))(
    '401 without a token: %s',
    async (_, route) => {
      expect((await statusOf(route, 'acme', null)).status).toBe(401);
    },
  );

  it.each(
    guarded.filter(({ path }) => path.includes('{account}')).map((route) => [title(route), route] as const),
  )('F66: an administrator of one account gets nothing of another: %s', async (_, route) => {
    const answer = await statusOf(route, 'globex', 'admin@acme');
    expect(answer.status).toBe(403);
    if (route.contentType === undefined)
      expect(answer.body).toMatchObject({
        code: 'forbidden',
        detail: expect.stringMatching(/has no role that gives [a-z:]+ in account "globex"$/),
      });
  });

  it.each(
    guarded.filter(({ path }) => !path.includes('{account}')).map((route) => [title(route), route] as const),
  )('F66: what is the whole platform’s needs a role in every account: %s', async (_, route) => {
    expect((await statusOf(route, 'acme', 'admin@acme')).status).toBe(403);
  });

  it('F66: the stream of all accounts needs a role in every account', async () => {
    const answer = await api.call('GET', '/v1/accounts/-/events', { token: tokens.get('admin@acme') ?? '' });
    expect(answer).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('in every account') },
    });
  });

  for (const role of Role.options) {
    it(`gives the role ${role} what it is for, and nothing else`, async () => {
      for (const route of guarded) {
        const { status } = await statusOf(route, 'acme', `${role}@*`);
        const mayCall = allowed[route.permission ?? 'platform:write'].includes(role);
        expect(`${title(route)} ${status === 403 ? 'refused' : 'let in'}`).toBe(
          `${title(route)} ${mayCall ? 'let in' : 'refused'}`,
        );
        expect(status).not.toBe(401);
      }
    });
  }
});

describe('bad tokens', () => {
  let own: TestApi;
  beforeAll(async () => {
    own = await startTestApi();
  });
  afterAll(() => own[Symbol.asyncDispose]());

  it.each([
    ['none', undefined, 'Bearer realm="signet"'],
    ['another scheme', 'Basic YTpi', 'Bearer realm="signet", error="invalid_token"'],
    ['no token of ours', 'Bearer hello', 'Bearer realm="signet", error="invalid_token"'],
    [
      'an unknown token',
      `Bearer sgn_${'0'.repeat(16)}_${'A'.repeat(43)}`,
      'Bearer realm="signet", error="invalid_token"',
    ],
  ])('answers 401 with WWW-Authenticate (RFC 6750 §3): %s', async (_, authorization, challenge) => {
    const answer = await fetch(
      `${own.url}/v1/tokens`,
      authorization === undefined ? {} : { headers: { authorization } },
    );
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe(challenge);
    expect(answer.headers.get('content-type')).toMatch('application/problem+json');
    expect(await answer.json()).toEqual({
      type: 'about:blank',
      title: 'Unauthorized',
      status: 401,
      code: 'unauthenticated',
      detail: 'authorization: a valid API token is needed',
    });
  });

  it('refuses the right id with a wrong secret', async () => {
    const [prefix, id] = own.admin.split('_');
    const answer = await own.call('GET', '/v1/tokens', { token: `${prefix}_${id}_${'A'.repeat(43)}` });
    expect(answer.status).toBe(401);
  });

  it('refuses a revoked token at its next call, and keeps it revoked', async () => {
    const token = await own.tokenFor({ account: 'acme', role: 'viewer' });
    const id = token.split('_')[1];
    expect((await own.call('GET', '/v1/accounts/acme/refusals', { token })).status).toBe(200);
    expect((await own.call('DELETE', `/v1/tokens/${id}`)).status).toBe(204);
    expect((await own.call('DELETE', `/v1/tokens/${id}`)).status).toBe(204);
    expect((await own.call('GET', '/v1/accounts/acme/refusals', { token })).status).toBe(401);
  });

  it('F63: refuses a claim by a token that may only look, and names what is missing', async () => {
    const answer = await own.call('POST', '/v1/accounts/acme/devices', {
      token: await own.tokenFor({ account: 'acme', role: 'viewer' }),
      body: { fingerprint: 'ab'.repeat(32) },
    });
    expect(answer.status).toBe(403);
    expect(answer.body.code).toBe('forbidden');
    expect(answer.body.detail).toMatch(
      /^token "t-.*" has no role that gives devices:claim in account "acme"$/,
    );
  });
});

it('turns floods without a valid token away with 429, and lets valid ones through beside them', async () => {
  await using own = await startTestApi();
  const statuses: number[] = [];
  for (let i = 0; i < ATTEMPTS_PER_MINUTE + 2; i++)
    statuses.push((await own.call('GET', '/v1/status', { token: null })).status);
  expect(statuses.filter((status) => status === 401)).toHaveLength(ATTEMPTS_PER_MINUTE);
  const flooded = await own.call('GET', '/v1/status', { token: null });
  expect(flooded).toMatchObject({ status: 429, body: { code: 'rate-limited' } });
  expect(Number(flooded.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await own.call('GET', '/v1/status')).status).toBe(200);
});

it('refuses a token whose time is over', async () => {
  let now = Date.now();
  await using own = await startTestApi({ fixture: { now: () => now } });
  const { body } = await own.call('POST', '/v1/tokens', {
    body: {
      name: 'short',
      grants: [{ account: 'acme', role: 'viewer' }],
      expiresAt: new Date(now + 60_000).toISOString(),
    },
  });
  const token = String(body.token);
  expect((await own.call('GET', '/v1/accounts/acme/refusals', { token })).status).toBe(200);
  now += 60_000;
  expect((await own.call('GET', '/v1/accounts/acme/refusals', { token })).status).toBe(401);
});
