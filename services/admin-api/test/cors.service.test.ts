import { expect, test } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';

const PAGE = 'https://install.example.com';

const preflight = (api: TestApi, origin: string) =>
  fetch(`${api.url}/v1/accounts/acme/devices`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  });

test('F93: pages of a configured origin may call the API from a browser, and no other', async () => {
  await using api = await startTestApi({ env: { SIGNET_ADMIN_CORS_ORIGINS: `https://x.example, ${PAGE}` } });
  const asked = await preflight(api, PAGE);
  expect(asked.status).toBe(204);
  expect(Object.fromEntries(asked.headers)).toMatchObject({
    'access-control-allow-origin': PAGE,
    'access-control-allow-methods': 'GET, POST, PUT, DELETE',
    'access-control-allow-headers': 'authorization, content-type, idempotency-key',
    vary: 'Origin',
  });
  expect(asked.headers.get('access-control-allow-credentials')).toBeNull();
  const called = await fetch(`${api.url}/v1/status`, { headers: { origin: PAGE } });
  expect(called.status).toBe(401);
  expect(called.headers.get('access-control-allow-origin')).toBe(PAGE);
  for (const origin of ['https://install.example.com.evil.example', 'null', 'http://install.example.com']) {
    const other = await preflight(api, origin);
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
    expect(other.headers.get('access-control-allow-methods')).toBeNull();
  }
});

test('without configured origins there is no CORS at all', async () => {
  await using api = await startTestApi();
  const asked = await preflight(api, PAGE);
  expect(asked.status).toBe(401);
  expect(asked.headers.get('access-control-allow-origin')).toBeNull();
});

test.each(['*', 'https://install.example.com/', 'install.example.com'])(
  'a wildcard, a path and a bare name are no origins: %s',
  async (SIGNET_ADMIN_CORS_ORIGINS) => {
    await expect(startTestApi({ env: { SIGNET_ADMIN_CORS_ORIGINS } })).rejects.toThrow(
      'SIGNET_ADMIN_CORS_ORIGINS: must be origins, such as https://install.example.com',
    );
  },
);
