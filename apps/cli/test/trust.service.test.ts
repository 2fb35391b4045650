import { once } from 'node:events';
import { readFile, realpath, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { generateKeyPair, issueSelfSigned, keySigner } from '@signet/pki';
import { createTestPki } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Terminal } from './signet.ts';

const pki = createTestPki();
const stack = new AsyncDisposableStack();
let terminal: Terminal;
let url: string;
let selfSigned: { readonly url: string; readonly fingerprint: string };
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
  const { privateKey } = generateKeyPair('P-256');
  const own = await issueSelfSigned({
    subject: { commonName: 'admin-api (last resort)' },
    sans: { dns: ['localhost'], ips: ['127.0.0.1'] },
    signer: keySigner(privateKey),
    notBefore: Date.UTC(2000),
    notAfter: Date.UTC(9998),
  });
  const lastResort = createServer(
    { cert: own.pem(), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) },
    (_request, response) => response.setHeader('content-type', 'application/json').end('{"items":[]}'),
  );
  lastResort.listen(0, '127.0.0.1');
  await once(lastResort, 'listening');
  stack.defer(() => {
    lastResort.close();
  });
  selfSigned = {
    url: `https://localhost:${(lastResort.address() as AddressInfo).port}`,
    fingerprint: own.fingerprint,
  };
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
    ['missing.pem', /^signet: --ca missing\.pem: no such file or folder/],
    ['nothing.pem', /^signet: --ca nothing\.pem: /],
  ])('a file of roots that is none is named: %s', async (file, message) => {
    expect(await list('--ca', file)).toMatchObject({ code: 1, err: expect.stringMatching(message) });
  });

  it('is believed by its fingerprint alone where its certificate is of last resort, as the log or openssl writes it', async () => {
    const listed = (fingerprint: string) =>
      terminal.signet(
        ...['--url', selfSigned.url, '--token', 'sgn_x', '--api-fingerprint', fingerprint],
        ...['tokens', 'list', '--json'],
      );
    const { fingerprint } = selfSigned;
    const colons = fingerprint.toUpperCase().match(/../g)?.join(':');
    for (const text of [`sha256:${fingerprint}`, `sha256 Fingerprint=${colons}`])
      expect(await listed(text)).toMatchObject({ code: 0, err: '' });
    expect(await listed('ab'.repeat(32))).toMatchObject({
      code: 1,
      err: expect.stringContaining(`sha256:${fingerprint}`),
    });
    expect(await listed('abc')).toMatchObject({ code: 1, err: expect.stringContaining('--api-fingerprint') });
  });

  it('is not believed by a fingerprint where a CA has signed its certificate: the root is asked for', async () => {
    const wrong = await list('--api-fingerprint', 'ab'.repeat(32));
    const shown = /sha256:([0-9a-f]{64})/.exec(wrong.err)?.[1] ?? '';
    expect(await list('--api-fingerprint', shown)).toMatchObject({
      code: 1,
      err: expect.stringContaining('--ca <file>'),
    });
  });
});
