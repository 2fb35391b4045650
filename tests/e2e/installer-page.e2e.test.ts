import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { claimCodeOf, claimUrl, type FactoryResult } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createCsr, encodePem, generateKeyPair } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filmLabel } from './support/camera.ts';

const root = resolve(import.meta.dirname, '../..');
const executablePath = requireServer('chromium');

/** Any static server: the page, and the QR reader beside it, as its README has it. */
async function servePage(): Promise<{ server: Server; origin: string }> {
  const files: Record<string, string> = {
    '/': join(root, 'examples/installer-page/index.html'),
    '/qr/decode.js': join(root, 'node_modules/qr/decode.js'),
    '/qr/index.js': join(root, 'node_modules/qr/index.js'),
  };
  const server = createServer(async (request, response) => {
    const file = files[new URL(request.url ?? '/', 'http://page').pathname];
    if (file === undefined) return response.writeHead(404).end();
    const type = file.endsWith('.html') ? 'text/html' : 'text/javascript';
    return response.writeHead(200, { 'content-type': type }).end(await readFile(file));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe.skipIf(executablePath === '')('F93: the page of an installer', () => {
  const stack = new AsyncDisposableStack();
  let env: DevEnv;
  let origin: string;
  let folder: string;
  let token: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'signet-page-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const page = await servePage();
    stack.defer(() => void page.server.close());
    origin = page.origin;
    env = stack.use(await startDevEnv({ env: { SIGNET_ADMIN_CORS_ORIGINS: origin } }));
    const made = await env.operator.post<{ token: string }>('/v1/tokens', {
      name: 'installer',
      grants: [{ account: 'acme', role: 'installer' }],
      budget: { count: 2 },
    });
    token = made.token;
  });
  afterAll(() => stack.disposeAsync());

  async function labelled(id: string): Promise<{ code: string; fingerprint: string }> {
    const csr = createCsr({ subject: { commonName: id }, privateKey: generateKeyPair('P-256').privateKey });
    const { results } = await env.operator.post<{ results: FactoryResult[] }>(
      '/v1/accounts/acme/factory/certificates',
      { items: [{ csr: encodePem('CERTIFICATE REQUEST', csr), deviceSerialNumber: `SN-${id}` }] },
    );
    const fingerprint = results[0]?.fingerprint ?? expect.unreachable();
    return { code: claimCodeOf(fingerprint), fingerprint };
  }

  async function open(browser: Browser): Promise<Page> {
    const page = await (await browser.newContext({ permissions: ['camera'] })).newPage();
    await page.goto(`${origin}/#api=${encodeURIComponent(env.operator.url)}&account=acme`);
    await page.getByLabel('Token').fill(token);
    return page;
  }

  const start = (...more: string[]) =>
    chromium.launch({ executablePath, headless: true, args: ['--no-sandbox', '--disable-gpu', ...more] });

  const told = (page: Page, text: string | RegExp) =>
    page.locator('#results li', { hasText: text }).waitFor();

  it('F69: claims the device whose label the camera sees', async () => {
    const { code } = await labelled('scanned-1');
    const film = join(folder, 'label.y4m');
    await filmLabel(film, claimUrl('https://console.example', code));
    await using browser = await start(
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-video-capture=${film}`,
    );
    const page = await open(browser);
    await page.getByRole('button', { name: 'Scan a label' }).click();
    await told(page, 'scanned-1 (SN-scanned-1) is yours');
    expect(await page.getByLabel('Claim code').inputValue()).toBe(code);
    const view = await env.operator.get<{ device: object }>('/v1/accounts/acme/devices/scanned-1');
    expect(view.device).toMatchObject({ account: 'acme', state: 'claimed' });
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('button', { name: 'Scan a label' }).waitFor();
  });

  it('F69, F87: claims by a code that is typed, says what is wrong with it, and that the budget is used up', async () => {
    const { code } = await labelled('typed-1');
    const beyond = await labelled('typed-2');
    await using browser = await start();
    const page = await open(browser);
    const type = async (text: string) => {
      await page.getByLabel('Claim code').fill(text);
      await page.getByRole('button', { name: 'Claim', exact: true }).click();
    };
    const wrong = `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`;
    await type(wrong);
    await told(page, 'a character is wrong; compare it with the label');
    await type(code.toLowerCase().replaceAll('-', ' '));
    await told(page, 'typed-1 (SN-typed-1) is yours');
    await type(code);
    await type(beyond.code);
    await told(page, `${beyond.code}: budget: all 2 devices are used up`);
  });

  it('says that there is no camera, and waits for the code', async () => {
    await using browser = await start();
    const page = await open(browser);
    await page.getByRole('button', { name: 'Scan a label' }).click();
    await told(page, /type the code$/);
    expect(await page.locator(':focus').getAttribute('id')).toBe('code');
  });

  it('F93: with its token nothing else can be done', async () => {
    const call = (method: string, path: string) =>
      fetch(new URL(path, env.operator.url), { method, headers: { authorization: `Bearer ${token}` } });
    for (const path of ['devices', 'factory/log', 'audit', 'events', 'certificates'])
      expect((await call('GET', `/v1/accounts/acme/${path}`)).status).toBe(403);
    expect((await call('GET', '/v1/tokens')).status).toBe(403);
    expect((await call('POST', '/v1/accounts/globex/devices')).status).toBe(403);
    expect((await call('POST', '/v1/accounts/acme/devices/actions/revoke')).status).toBe(403);
  });
});
