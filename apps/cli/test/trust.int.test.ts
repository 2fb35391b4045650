import { once } from 'node:events';
import { readFile, realpath, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createTestPki } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Terminal } from './signet.ts';

const pki = createTestPki();
const stack = new AsyncDisposableStack();
let terminal: Terminal;
let url: string;
beforeAll(async () => {
  terminal = stack.use(await Terminal.open());
  const { cert, key } = pki.serverIdentity();
  const chain = cert + pki.server.pem;
  const server = createServer({ cert: chain, key }, (_request, response) =>
    response.setHeader('content-type', 'application/json').end('{"items":[]}'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.close();
  });
  url = `https://localhost:${(server.address() as AddressInfo).port}`;
  await writeFile(join(terminal.folder, 'roots.pem'), pki.trustAnchors);
  await writeFile(join(terminal.folder, 'others.pem'), createTestPki().trustAnchors);
  await writeFile(join(terminal.folder, 'nothing.pem'), 'nothing\n');
});
afterAll(() => stack.disposeAsync());

const list = (...flags: string[]) =>
  terminal.signet('--url', url, '--token', 'sgn_x', ...flags, 'tokens', 'list', '--json');

describe('the API over HTTPS', () => {
  it('is believed by the roots that --ca, SIGNET_CA or the config file name', async () => {
    expect(await list('--ca', 'roots.pem')).toMatchObject({ code: 0, err: '' });
    const byEnvironment = await terminal.signetWith(
      { SIGNET_CA: join(terminal.folder, 'roots.pem'), SIGNET_URL: url, SIGNET_TOKEN: 'sgn_x' },
      ...['tokens', 'list', '--json'],
    );
    expect(byEnvironment).toMatchObject({ code: 0, err: '' });
    expect((await terminal.signet('config', 'set', 'ca', 'roots.pem')).code).toBe(0);
    const kept = join(terminal.env.XDG_CONFIG_HOME ?? '', 'signet', 'config.json');
    expect(JSON.parse(await readFile(kept, 'utf8'))).toEqual({
      ca: await realpath(join(terminal.folder, 'roots.pem')),
    });
    expect(await list()).toMatchObject({ code: 0, err: '' });
  });

  it('is not believed by other roots, which are named as the reason', async () => {
    const done = await list('--ca', 'others.pem');
    expect(done).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^signet: https:\/\/localhost:\d+: .*certificate.*--ca/),
    });
  });

  it.each([
    ['missing.pem', /^signet: --ca missing\.pem: ENOENT/],
    ['nothing.pem', /^signet: --ca nothing\.pem: /],
  ])('a file of roots that is none is named: %s', async (file, message) => {
    expect(await list('--ca', file)).toMatchObject({ code: 1, err: expect.stringMatching(message) });
  });
});
