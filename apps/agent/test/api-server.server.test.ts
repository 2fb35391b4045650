import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { encodePem, parseCertificatePem, parseCrl } from '@signet/pki';
import { createTestPki } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { startNginx, temporaryPaths } from '@signet/tests/servers/nginx';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Identity, leaf, onboard, SharedIdentity } from '../src/index.ts';
import { Client } from './api-client.ts';
import { type Made, TestFactory } from './devices.ts';

const tools = [requireServer('nginx'), requireServer('openssl'), requireServer('curl')];
const [nginx = ''] = tools;
const exec = promisify(execFile);
const examples = resolve(import.meta.dirname, '../../../examples');
const own = createTestPki().serverIdentity();
/** How long est-ca may answer from the CRL it has: the first part of the bound. */
const CACHE_SECONDS = 1;

let env: DevEnv;
let factory: TestFactory;
let folder: string;
let urls: readonly string[];
const stack = new AsyncDisposableStack();

/** What an owner puts beside the server: its own certificate, the CAs of the devices, the addresses of their CRLs. */
beforeAll(async () => {
  env = stack.use(await startDevEnv({ env: { SIGNET_EST_CRL_CACHE_SECONDS: String(CACHE_SECONDS) } }));
  factory = stack.use(await TestFactory.open(env));
  folder = await mkdtemp(join(tmpdir(), 'signet-api-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const issuing = await certificateAt('issuing');
  const root = await certificateAt('root');
  const device = leaf((await enrolled('shows-addresses')).identity);
  urls = [...device.crlUrls, ...parseCertificatePem(issuing).crlUrls];
  await cp(join(examples, 'api-server-nginx'), folder, { recursive: true });
  await writeFile(join(folder, 'server.pem'), own.cert);
  await writeFile(join(folder, 'server.key'), own.key, { mode: 0o600 });
  await writeFile(join(folder, 'trust.pem'), root + issuing);
  await writeFile(join(folder, 'crl-urls.txt'), `${urls.join('\n')}\n`);
});
afterAll(() => stack.disposeAsync());

async function certificateAt(name: string): Promise<string> {
  const answer = await fetch(`http://localhost:${env.ports.http}/ca/${name}.cer`);
  return encodePem('CERTIFICATE', new Uint8Array(await answer.arrayBuffer()));
}

type Enrolled = Made & { readonly identity: Identity };

/** A device with the chain that a server of the owner needs. */
async function enrolled(id: string): Promise<Enrolled> {
  const made = await factory.claimed(id);
  await onboard(made.folder);
  const path = join(made.folder.path, 'identity');
  await new SharedIdentity(made.folder, { path, handlers: { folder: path, deadlineMs: 1 } }).update();
  const [key, certificate] = await Promise.all(
    ['key.pem', 'certificate.pem'].map((name) => readFile(join(path, 'current', name), 'utf8')),
  );
  return { ...made, identity: { key: key ?? '', certificate: certificate ?? '' } };
}

const fresh = (port: number, { identity }: { identity?: Identity }) => new Client(port, identity).ask();

/** Revoked by the operator; resolves once the published CRL lists it. */
async function revoked({ identity }: Enrolled): Promise<void> {
  const { serialNumber } = leaf(identity);
  await env.operator.post(`/v1/accounts/acme/certificates/${serialNumber}/revoke`, {});
  await vi.waitFor(async () => {
    const answer = await fetch(urls[0] ?? '');
    const { entries } = parseCrl(new Uint8Array(await answer.arrayBuffer()));
    expect(entries.map((entry) => entry.serialNumber)).toContain(serialNumber);
  }, 20_000);
}

const REFUSED_BY_NGINX = '400 <html>';

/** The configuration as it stands in the example, but for its port and what a test changes. */
async function start(name: string, changes: readonly (readonly [string, string])[] = []) {
  const example = await readFile(join(folder, name), 'utf8');
  return await startNginx(nginx, {
    directory: folder,
    configuration: (port, directory) => {
      const own = [
        ['listen 8446', `listen ${port}`],
        ['access_log off;', `access_log off; ${temporaryPaths(directory)}`],
      ] as const;
      return [...own, ...changes].reduce((text, [from, to]) => {
        expect(text).toContain(from);
        return text.replaceAll(from, to);
      }, example);
    },
  });
}
const refresh = () => exec(join(folder, 'refresh-crls.sh'), [folder]);

/** Files over HTTP, for what nobody should publish. */
async function startFiles(files: Readonly<Record<string, Uint8Array>>) {
  const server = createServer((request, response) => response.end(files[request.url ?? ''])).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => void server.close() };
}

describe.skipIf(tools.includes(''))('F92: an API server of the owner behind nginx', () => {
  it('by CRL: a revoked device is refused after one refresh, its idle connection closed; the others go on', async () => {
    const [stays, goes] = await Promise.all([enrolled('nginx-stays'), enrolled('nginx-goes')]);
    await refresh();
    await using server = await start('nginx.conf');
    const { port } = server;
    const live = new Client(port, goes.identity);
    expect(await live.ask()).toBe('200 hello nginx-goes');
    expect(await fresh(port, stays)).toBe('200 hello nginx-stays');
    expect((await refresh()).stdout).toBe('');
    expect(live.closed).toBe(false);

    await revoked(goes);
    expect((await fetch(urls[0] ?? '')).headers.get('cache-control')).toContain(`max-age=${CACHE_SECONDS},`);
    expect((await refresh()).stdout).toMatch(/ crls\.pem is new\n$/);
    await vi.waitFor(() => expect(live.closed).toBe(true), 20_000);
    await vi.waitFor(async () => expect(await fresh(port, goes)).toBe(REFUSED_BY_NGINX), 20_000);
    expect(await fresh(port, stays)).toBe('200 hello nginx-stays');
  });

  it('admits operational certificates of its account alone', async () => {
    const device = await enrolled('nginx-account');
    await refresh();
    await using server = await start('nginx.conf', [['O=acme', 'O=another']]);
    expect(await fresh(server.port, device)).toBe('403 <html>');
    const { identity } = await device.folder.factoryFiles();
    expect(await fresh(server.port, { identity })).toBe(REFUSED_BY_NGINX);
    expect(await fresh(server.port, {})).toBe(REFUSED_BY_NGINX);
  });

  it('keeps its CRLs where what it gets is no CRL of its CAs, or an older one; and says so', async () => {
    await using folders = new AsyncDisposableStack();
    const other = await mkdtemp(join(tmpdir(), 'signet-api-'));
    folders.defer(() => rm(other, { recursive: true, force: true }));
    await cp(folder, other, { recursive: true });
    const again = () =>
      exec(join(other, 'refresh-crls.sh'), [other]).then(
        () => '',
        (error: { code: number; stderr: string }) => `${error.code} ${error.stderr}`,
      );
    expect(await again()).toBe('');
    const older = new Uint8Array(await (await fetch(urls[0] ?? '')).arrayBuffer());
    await revoked(await enrolled('makes-another-crl'));
    expect(await again()).toBe('');
    const newest = await readFile(join(other, 'crls.pem'), 'utf8');

    const files = await startFiles({ '/older.crl': older, '/none.crl': Buffer.from('no CRL') });
    folders.defer(files.close);
    await writeFile(join(other, 'crl-urls.txt'), `${files.url}/older.crl\n${files.url}/none.crl\n`);
    const refused = await again();
    expect(refused).toContain(`1 ${files.url}/older.crl: older than the one here`);
    expect(refused).toContain(`${files.url}/none.crl: not signed by a CA of trust.pem`);
    await writeFile(join(other, 'trust.pem'), createTestPki().trustAnchors);
    expect(await again()).toContain(`1 ${files.url}/older.crl: not signed by a CA of trust.pem`);
    expect(await readFile(join(other, 'crls.pem'), 'utf8')).toBe(newest);
  });

  it('by OCSP: a revoked device is refused at its next connection, and everybody while nobody answers', async () => {
    const [stays, goes] = await Promise.all([enrolled('ocsp-stays'), enrolled('ocsp-goes')]);
    const responder = ['http://127.0.0.1:8081', `http://127.0.0.1:${env.ports.http}`] as const;
    await using server = await start('nginx-ocsp.conf', [responder]);
    const { port } = server;
    expect(await fresh(port, stays)).toBe('200 hello ocsp-stays');
    expect(await fresh(port, goes)).toBe('200 hello ocsp-goes');
    await env.operator.post(`/v1/accounts/acme/certificates/${leaf(goes.identity).serialNumber}/revoke`, {});
    await vi.waitFor(async () => expect(await fresh(port, goes)).toBe(REFUSED_BY_NGINX), 20_000);
    expect(await fresh(port, stays)).toBe('200 hello ocsp-stays');
    await env.stop('est-ca');
    try {
      expect(await fresh(port, stays)).toBe(REFUSED_BY_NGINX);
    } finally {
      await env.start('est-ca');
    }
    expect(await fresh(port, stays)).toBe('200 hello ocsp-stays');
  });
});

/** The server of the example, as its README starts it. */
class NodeServer implements AsyncDisposable {
  readonly #child: ChildProcess;
  port = 0;

  constructor(settings: Readonly<Record<string, string>>) {
    const path = (name: string) => join(folder, name);
    const files = { API_KEY: path('server.key'), API_CERT: path('server.pem'), API_TRUST: path('trust.pem') };
    this.#child = spawn(process.execPath, [join(examples, 'api-server-node', 'server.ts')], {
      env: { ...process.env, ...files, API_PORT: '0', API_SECONDS: '1', ...settings },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  async listening(): Promise<this> {
    let said = '';
    this.#child.stdout?.on('data', (chunk) => (said += String(chunk)));
    await vi.waitFor(() => expect(said).toMatch(/^listening on \d+$/m), 20_000);
    this.port = Number(/\d+/.exec(said)?.[0]);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

describe.skipIf(tools.includes(''))('F92: an API server of the owner in Node', () => {
  it('by CRL: a revoked device is refused after one refresh, and cut off where it is connected', async () => {
    const [stays, goes] = await Promise.all([enrolled('node-stays'), enrolled('node-goes')]);
    await using server = await new NodeServer({ API_CRLS: urls.join(',') }).listening();
    const { port } = server;
    const clients = { goes: new Client(port, goes.identity), stays: new Client(port, stays.identity) };
    expect(await clients.goes.ask()).toBe('200 hello node-goes');
    expect(await clients.stays.ask()).toBe('200 hello node-stays');
    await revoked(goes);
    await vi.waitFor(() => expect(clients.goes.closed).toBe(true), 20_000);
    expect(await fresh(port, goes)).toMatch(/^(ERR_SSL_\w*CERTIFICATE\w*REVOKED|ECONNRESET)$/);
    expect(await clients.stays.ask()).toBe('200 hello node-stays');
    expect(clients.stays.closed).toBe(false);
    expect(await fresh(port, stays)).toBe('200 hello node-stays');
  });

  it('by OCSP: a revoked device is refused on the connection that it has, and everybody while nobody answers', async () => {
    const [stays, goes] = await Promise.all([enrolled('node-ocsp-stays'), enrolled('node-ocsp-goes')]);
    await using server = await new NodeServer({}).listening();
    const { port } = server;
    const live = new Client(port, goes.identity);
    expect(await live.ask()).toBe('200 hello node-ocsp-goes');
    expect(await fresh(port, stays)).toBe('200 hello node-ocsp-stays');
    await env.operator.post(`/v1/accounts/acme/certificates/${leaf(goes.identity).serialNumber}/revoke`, {});
    const refusal = '403 revoked, or nobody says that it is not';
    await vi.waitFor(async () => expect(await live.ask()).toBe(refusal), 20_000);
    expect(await fresh(port, stays)).toBe('200 hello node-ocsp-stays');
    await env.stop('est-ca');
    try {
      await vi.waitFor(async () => expect(await fresh(port, stays)).toBe(refusal), 20_000);
    } finally {
      await env.start('est-ca');
    }
  });

  it('admits operational certificates of its account alone', async () => {
    const device = await enrolled('node-account');
    await using server = await new NodeServer({
      API_CRLS: urls.join(','),
      API_ACCOUNT: 'another',
    }).listening();
    expect(await fresh(server.port, device)).toBe('403 not yours');
    const { identity } = await device.folder.factoryFiles();
    expect(await fresh(server.port, { identity })).toMatch(/^(ERR_SSL_\w+|ECONNRESET)$/);
    expect(await fresh(server.port, {})).toMatch(/^(ERR_SSL_\w+|ECONNRESET)$/);
  });
});
