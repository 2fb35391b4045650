import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { StandaloneProcess } from './child.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'signet-standalone-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const TOKEN = /sgn_[0-9a-f]{16}_[A-Za-z0-9_-]{43}/;

it('F72: says where all is, quietly, and the token to no log; the second start finds its data', async () => {
  const dataDir = join(root, 'data');
  await using first = new StandaloneProcess(dataDir);
  const greeting = await first.ready();
  expect(first.err).toBe('');
  expect(greeting.trimStart()).toMatch(/^Signet is ready\./);
  expect(greeting).not.toMatch(/undefined|:0\b|NaN/);
  for (const name of ['bootstrap', 'est', 'mqtt', 'gateway', 'crl', 'operators', 'health'])
    expect(first.url(name)).toMatch(/^(https|mqtts|http):\/\/(localhost|127\.0\.0\.1):[1-9]\d+/);
  expect(first.url('data')).toBe(dataDir);
  expect(first.url('log')).toBe(join(dataDir, 'signet.log'));
  expect(greeting).not.toMatch(TOKEN);
  const token = (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
  expect(token).toMatch(TOKEN);
  expect((await stat(join(dataDir, 'admin-token'))).mode & 0o777).toBe(0o600);

  const ready = await fetch(first.url('health'));
  expect(await ready.json()).toMatchObject({ ready: true });
  const made = await fetch(`${first.url('operators')}/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'kept', grants: [{ account: 'default', role: 'viewer' }] }),
  });
  const { token: viewer } = (await made.json()) as { token: string };
  const unknown = await fetch(`${first.url('operators')}/accounts/default/devices`, {
    headers: { authorization: 'Bearer x' },
  });
  expect(unknown.status).toBe(401);
  const stopped = await first.stop('SIGINT');
  expect(stopped.code).toBe(0);
  expect(stopped.ms).toBeLessThan(3000);
  expect(first.err).toBe('');

  await using second = new StandaloneProcess(dataDir);
  expect(await second.ready()).not.toMatch(TOKEN);
  expect(second.err).toBe('');
  const devices = await fetch(`${second.url('operators')}/accounts/default/devices`, {
    headers: { authorization: `Bearer ${viewer}` },
  });
  expect(await devices.json()).toEqual({ items: [] });
  expect((await second.stop('SIGTERM')).code).toBe(0);
  expect(await readFile(join(dataDir, 'signet.log'), 'utf8')).toMatch(/"msg":"signet is ready"/);
});

it('stops within moments although a client holds an event stream open', async () => {
  await using signet = new StandaloneProcess(join(root, 'streaming'));
  await signet.ready();
  const token = (await readFile(join(root, 'streaming', 'admin-token'), 'utf8')).trim();
  const stream = await fetch(`${signet.url('operators')}/accounts/-/events`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const [{ code, ms }] = await Promise.all([signet.stop('SIGINT'), stream.text()]);
  expect(code).toBe(0);
  expect(ms).toBeLessThan(3000);
});

it('with wrong settings it says one line for each and exits 2', async () => {
  await using signet = new StandaloneProcess(join(root, 'wrong'), {
    SIGNET_EST_PORT: 'eight',
    SIGNET_ADMIN_TOKEN: 'hunter2',
  });
  expect(await signet.ended()).toBe(2);
  expect(signet.err).toBe(
    'signet: the configuration is wrong\n  SIGNET_EST_PORT: must be a port number\n  SIGNET_ADMIN_TOKEN: must be an API token: sgn_<16 hex>_<43 base64url>\n',
  );
});

it('sends the whole log to standard output where a level is named', async () => {
  await using signet = new StandaloneProcess(join(root, 'loud'), { SIGNET_LOG_LEVEL: 'info' });
  await signet.ready();
  expect(signet.out).toMatch(/^\{"level":"info".*signet is ready/m);
  expect(signet.url('log')).toBe('standard');
});
