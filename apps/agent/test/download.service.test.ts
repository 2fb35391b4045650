import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestPki } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { download } from '../src/updates/download.ts';

const pki = createTestPki();
const tls = pki.serverIdentity(['localhost']);
let folder: string;
let server: Server;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signet-download-'));
  server = createServer({ key: tls.key, cert: tls.cert }, (request, response) => {
    if (request.url === '/short') return void response.end('short');
    // a byte for each that was taken: never silent, never done
    const drip = (): void => void response.write('.', () => setImmediate(drip));
    response.on('error', () => {});
    drip();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
  await rm(folder, { recursive: true });
});

const order = (path: string, size: number) => ({
  url: `https://localhost:${(server.address() as AddressInfo).port}/${path}`,
  path: join(folder, path),
  facts: { size, sha256: '0'.repeat(64) },
  trustAnchors: [pki.root.pem],
  signal: new AbortController().signal,
});

describe('the download of an artifact', () => {
  it.each([
    ['three GiB, for which no timer waits long enough', 3 * 2 ** 30],
    ['the most that an artifact may be', 2 ** 40],
  ])('is begun and judged by what comes where its size is %s', async (_which, size) => {
    await expect(download(order('short', size))).rejects.toMatchObject({
      code: 'bad-update',
      message: `artifact: it has 5 bytes, not ${size}`,
    });
  });

  it('is cut where the server drips, and tried again as what passes', async () => {
    await expect(download({ ...order('drips', 2 ** 40), deadlineMs: 300 })).rejects.toMatchObject({
      code: 'unreachable',
      isPassing: true,
      message: expect.stringMatching(/: not the whole artifact within 0.3 s$/),
    });
  });
});
