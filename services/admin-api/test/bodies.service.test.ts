import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** Sends the head of a request alone, and gives the first line of what comes back. */
async function answerToHead(path: string, token: string | undefined, length: number): Promise<string> {
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  try {
    const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${authorization}` +
        `Content-Length: ${length}\r\n\r\n`,
    );
    const [answer] = await once(socket, 'data');
    return String(answer).split('\r\n')[0] ?? '';
  } finally {
    socket.destroy();
  }
}

test('a caller without the role is refused before any of its body is read', async () => {
  const viewer = await api.tokenFor({ account: 'acme', role: 'viewer' });
  for (const path of ['/v1/accounts/acme/factory/certificates', '/v1/accounts/acme/devices/claims']) {
    expect(await answerToHead(path, undefined, 4_000_000)).toBe('HTTP/1.1 401 Unauthorized');
    expect(await answerToHead(path, viewer, 4_000_000)).toBe('HTTP/1.1 403 Forbidden');
  }
});

test('a route takes as much as it needs, and what is longer is refused with its limit before it is sent', async () => {
  expect(await answerToHead('/v1/accounts/acme/groups', api.admin, 300_000)).toBe(
    'HTTP/1.1 413 Payload Too Large',
  );
  const { status, body } = await api.call('POST', '/v1/accounts/acme/groups', {
    body: { group: 'x'.repeat(300_000) },
  });
  expect({ status, ...body }).toMatchObject({
    status: 413,
    code: 'body-too-large',
    field: 'body',
    detail: 'body: longer than 262144 bytes',
  });
  const items = Array.from({ length: 256 }, () => ({ csr: 'x'.repeat(4000) }));
  const batch = await api.call('POST', '/v1/accounts/acme/factory/certificates', { body: { items } });
  expect(batch.status).not.toBe(413);
});

test('a body that is nested too deeply is refused with the limit', async () => {
  const nested = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`) as unknown;
  const { status, body } = await api.call('POST', '/v1/accounts/acme/groups', { body: { group: nested } });
  expect({ status, ...body }).toMatchObject({
    status: 400,
    code: 'invalid-input',
    field: 'body',
    detail: 'body: nested deeper than 32 levels',
  });
});
