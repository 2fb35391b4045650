import { claimDevice, factorySign, listDevices, OperationError } from '@signet/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';

let api: TestApi;
const stack = new AsyncDisposableStack();
const asked: Record<string, unknown>[] = [];

beforeAll(async () => {
  api = stack.use(await startTestApi());
  const { bus } = api.fixture.deps;
  stack.use(
    await bus.serve(claimDevice, async (input) => {
      throw new OperationError('claimed-by-another', `fingerprint: claimed already (${input.account})`, {
        field: 'fingerprint',
      });
    }),
  );
  stack.use(
    await bus.serve(listDevices, async (input) => {
      asked.push(input);
      return { items: [], next: 'opaque' };
    }),
  );
  stack.use(
    await bus.serve(factorySign, async ({ items }) => ({
      results: items.map(() => ({ error: { code: 'bad-csr', message: 'csr: not signed' } })),
    })),
  );
});
afterAll(() => stack.disposeAsync());

const problem = (answer: { headers: Headers; body: object }) => {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  return answer.body;
};

describe('problems (RFC 9457)', () => {
  it('name the field and the reason of wrong input', async () => {
    const answer = await api.call('POST', '/v1/accounts/acme/devices', { body: { fingerprint: 'XYZ' } });
    expect(answer.status).toBe(400);
    expect(problem(answer)).toEqual({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      code: 'invalid-input',
      field: 'fingerprint',
      detail: 'fingerprint: fingerprint: 64 lower-case hex digits',
    });
  });

  it('name an account that cannot be one, and a limit out of bounds', async () => {
    expect(await api.call('GET', '/v1/accounts/Acme!/devices')).toMatchObject({
      status: 400,
      body: { code: 'invalid-input', field: 'account' },
    });
    expect(await api.call('GET', '/v1/accounts/acme/devices?limit=5000')).toMatchObject({
      status: 400,
      body: { code: 'invalid-input', field: 'limit' },
    });
  });

  it('pass an operation’s own refusal on, with its status', async () => {
    const body = { fingerprint: 'ab'.repeat(32) };
    const answer = await api.call('POST', '/v1/accounts/acme/devices', { body });
    expect(answer.status).toBe(409);
    expect(problem(answer)).toMatchObject({
      code: 'claimed-by-another',
      field: 'fingerprint',
      detail: 'fingerprint: claimed already (acme)',
    });
  });

  it('say 503 with Retry-After while the service behind is unavailable', async () => {
    const answer = await api.call('GET', '/v1/authorities/../accounts/acme/certificates');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(problem(answer)).toMatchObject({ code: 'unavailable' });
  });

  it('refuse broken JSON, other content and what is too large', async () => {
    const send = (body: string, type = 'application/json') =>
      fetch(`${api.url}/v1/accounts/acme/devices`, {
        method: 'POST',
        headers: { authorization: `Bearer ${api.admin}`, 'content-type': type },
        body,
      });
    for (const [answer, status] of [
      [await send('{"fingerprint":'), 400],
      [await send('<claim/>', 'application/xml'), 415],
      [await send(JSON.stringify({ fingerprint: 'a'.repeat(9 * 1024 * 1024) })), 413],
    ] as const) {
      expect(answer.status).toBe(status);
      expect(answer.headers.get('content-type')).toMatch('application/problem+json');
      expect(await answer.json()).toMatchObject({
        status,
        code: expect.any(String),
        detail: expect.any(String),
      });
    }
  });

  it('say 404 for what is not there', async () => {
    for (const [method, path] of [
      ['GET', '/v1/nothing'],
      ['DELETE', '/v1/tokens/0000000000000000'],
      ['POST', '/v1/dead-letters/nothing/retry'],
      ['DELETE', '/v1/dead-letters/nothing'],
    ] as const) {
      expect((await api.call(method, path)).status).toBe(404);
    }
  });

  it('never tell of a secret in a list of tokens', async () => {
    await api.tokenFor({ account: 'acme', role: 'viewer' });
    const { body } = await api.call('GET', '/v1/tokens');
    expect(JSON.stringify(body)).not.toMatch(/secret/i);
    expect(body.items).toHaveLength(2);
  });
});

it('passes paging and filters on to the service that knows', async () => {
  const { body } = await api.call(
    'GET',
    '/v1/accounts/acme/devices?limit=7&cursor=abc&state=active&group=hall',
  );
  expect(body).toEqual({ items: [], next: 'opaque' });
  expect(asked.at(-1)).toEqual({ account: 'acme', limit: 7, cursor: 'abc', state: 'active', group: 'hall' });
});

it('takes a full batch of 256 large requests in one call', async () => {
  const csr = `-----BEGIN CERTIFICATE REQUEST-----\n${'A'.repeat(2000)}\n-----END CERTIFICATE REQUEST-----\n`;
  const items = Array.from({ length: 256 }, () => ({ csr }));
  const answer = await api.call('POST', '/v1/accounts/acme/factory/certificates', { body: { items } });
  expect(answer.status).toBe(201);
  expect(answer.body.results).toHaveLength(256);
});
