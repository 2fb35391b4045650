import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, parseConfig } from '@signet/service';
import { openTestFixture } from '@signet/service/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startAdminApi } from '../src/app.ts';
import { adminApiConfig } from '../src/config.ts';
import { newToken } from '../src/domain/token/api-token.ts';

let stack: AsyncDisposableStack;
let dataDir: string;
let fixture: Awaited<ReturnType<typeof openTestFixture>>;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  dataDir = await mkdtemp(join(tmpdir(), 'signet-token-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  fixture = stack.use(await openTestFixture());
});
afterEach(() => stack.disposeAsync());

const start = (env: Record<string, string> = {}) =>
  startAdminApi(
    parseConfig(adminApiConfig, { SIGNET_ADMIN_PORT: '0', SIGNET_DATA_DIR: dataDir, ...env }),
    fixture.deps,
  );

async function statusWith(url: string, token: string, method = 'GET', path = '/v1/tokens'): Promise<number> {
  const answer = await fetch(url + path, { method, headers: { authorization: `Bearer ${token}` } });
  await answer.arrayBuffer();
  return answer.status;
}

const file = () => join(dataDir, 'admin-token');
const kept = async () => (await readFile(file(), 'utf8')).trim();

describe('the first token', () => {
  it('is made at the first start, readable by its owner alone, and found again at the second', async () => {
    let token: string;
    {
      await using api = await start();
      expect(api.firstToken).toEqual({ file: file(), isNew: true });
      expect((await stat(file())).mode & 0o777).toBe(0o600);
      token = await kept();
      expect(await statusWith(api.url, token)).toBe(200);
    }
    await using again = await start();
    expect(again.firstToken).toEqual({ file: file(), isNew: false });
    expect(await kept()).toBe(token);
    expect(await statusWith(again.url, token)).toBe(200);
  });

  it('stays revoked through a restart', async () => {
    {
      await using api = await start();
      const token = await kept();
      expect(await statusWith(api.url, token, 'DELETE', `/v1/tokens/${token.split('_')[1]}`)).toBe(204);
    }
    await using again = await start();
    expect(await statusWith(again.url, await kept())).toBe(401);
  });

  it('is the configured one, also from a file; then none is written', async () => {
    const token = newToken();
    const secretFile = join(dataDir, 'secret');
    await writeFile(secretFile, `${token}\n`);
    {
      await using api = await start({ SIGNET_ADMIN_TOKEN: token });
      expect(api.firstToken).toEqual({ file: undefined, isNew: false });
      expect(await statusWith(api.url, token)).toBe(200);
    }
    await using api = await start({ SIGNET_ADMIN_TOKEN_FILE: secretFile });
    expect(await statusWith(api.url, token)).toBe(200);
    await expect(stat(file())).rejects.toThrow('ENOENT');
  });

  it('stops the start with one line where the configured one is none, and does not repeat it', () => {
    const parse = () => parseConfig(adminApiConfig, { SIGNET_ADMIN_TOKEN: 'hunter2' });
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(/^SIGNET_ADMIN_TOKEN: must be an API token: sgn_<16 hex>_<43 base64url>$/);
  });

  it('stops the start where the kept one is broken, and names the file', async () => {
    await writeFile(file(), 'half a tok');
    await expect(start()).rejects.toThrow(`${file()}: not an API token: sgn_<16 hex>_<43 base64url>`);
  });

  it('does not take another secret for an id that is known', async () => {
    const [one, other] = [newToken(), newToken()];
    const mixed = `${one.slice(0, 21)}${other.slice(21)}`;
    await using _api = await start({ SIGNET_ADMIN_TOKEN: one });
    await expect(start({ SIGNET_ADMIN_TOKEN: mixed })).rejects.toThrow(/kept with another secret/);
  });
});

it('serves HTTPS where it is bound to more than loopback, with the platform’s own certificate', async () => {
  await using api = await start({ SIGNET_ADMIN_BIND: '0.0.0.0' });
  expect(api.url).toMatch(/^https:\/\/localhost:\d+$/);
  const token = await kept();
  const ca = fixture.pki.authorities.map(({ pem }) => pem);
  const { request } = await import('node:https');
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const headers = { authorization: `Bearer ${token}` };
  request(`${api.url}/v1/tokens`, { ca, headers, agent: false }, (response) => {
    response.resume();
    resolve(response.statusCode);
  })
    .on('error', reject)
    .end();
  expect(await promise).toBe(200);
  await expect(fetch(api.url.replace('https:', 'http:'))).rejects.toThrow();
});
