import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { type DevEnv, startDevEnv, trustAnchors } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { nginxConfiguration, startNginx } from '@signet/tests/servers/nginx';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { leaf, onboard, type RunEvent, run, SharedIdentity } from '../src/index.ts';
import { type Made, TestFactory } from './devices.ts';

const nginx = requireServer('nginx');
const openssl = requireServer('openssl');
const exec = promisify(execFile);

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

const pathOf = ({ folder }: Made, ...names: string[]) => join(folder.path, 'identity', ...names);
const shared = (made: Made, name: string) => readFile(pathOf(made, 'current', name), 'utf8');
const metadata = async (made: Made) => JSON.parse(await shared(made, 'identity.json'));

/** A server of the owner that asks for a certificate and answers with its serial number. */
async function startUpstream(ca: string) {
  const { key, cert } = createTestPki().serverIdentity();
  const server = createServer({ key, cert, ca, requestCert: true }, ({ socket }, answer) => {
    const { serialNumber } = (socket as TLSSocket).getPeerCertificate();
    answer.end(serialNumber.toLowerCase());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

async function textOf(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request({ port, host: '127.0.0.1', agent: false }, (answer) => {
    let text = '';
    answer.on('data', (chunk) => (text += String(chunk))).on('end', () => resolve(text));
  })
    .on('error', reject)
    .end();
  return promise;
}

describe('the folder from which workloads take the identity', () => {
  it('has key, whole chain, anchors and the CRL of the issuer, as OpenSSL verifies them', async () => {
    const made = await factory.claimed('shares');
    await onboard(made.folder);
    const options = { handlers: { folder: pathOf(made), deadlineMs: 1000 } };
    expect(await new SharedIdentity(made.folder, options).update()).toBe(true);
    expect(await metadata(made)).toMatchObject({
      ...{ account: 'acme', deviceId: 'shares', chainComplete: true, key: { kind: 'file', file: 'key.pem' } },
      uris: [expect.stringMatching(/^spiffe:\/\/.*\/acme\/device\/shares$/)],
      crl: { number: expect.stringMatching(/^\d+$/), nextUpdate: expect.any(String) },
    });
    const current = (name: string) => pathOf(made, 'current', name);
    const { stdout } = await exec(openssl, [
      ...['verify', '-crl_check', '-CAfile', current('trust.pem'), '-CRLfile', current('crl.pem')],
      ...['-untrusted', current('certificate.pem'), current('certificate.pem')],
    ]);
    expect(stdout).toContain(': OK');
  });

  it('gets the next CRL when there is one, and only then becomes another', async () => {
    const made = await factory.claimed('follows-crl');
    await onboard(made.folder);
    const events: string[] = [];
    const identity = new SharedIdentity(made.folder, {
      handlers: { folder: pathOf(made), deadlineMs: 1000 },
      report: (event) => void (event.step === 'identity-shared' && events.push(event.changed)),
    });
    await identity.update();
    const { crl } = await metadata(made);
    const other = await factory.claimed('revoked-meanwhile');
    const { serialNumber } = leaf(await onboard(other.folder));
    await env.operator.post(`/v1/accounts/acme/certificates/${serialNumber}/revoke`, {});
    await vi.waitFor(async () => {
      await identity.update();
      expect(Number((await metadata(made)).crl.number)).toBeGreaterThan(Number(crl.number));
    }, 15_000);
    const { stdout } = await exec(openssl, [
      'crl',
      '-noout',
      '-text',
      '-in',
      pathOf(made, 'current', 'crl.pem'),
    ]);
    expect(stdout.replaceAll(/[^0-9a-f]/gi, '').toLowerCase()).toContain(serialNumber);
    const count = events.length;
    await identity.update();
    expect(events.slice(count)).toEqual([]);
    expect(events.at(-1)).toBe('crl');
  });

  it('keeps what it has while nobody publishes, and says so once', async () => {
    const made = await factory.claimed('alone');
    await onboard(made.folder);
    const reasons: string[] = [];
    const identity = new SharedIdentity(made.folder, {
      handlers: { folder: pathOf(made), deadlineMs: 1000 },
      report: (event) => void (event.step === 'identity-waits' && reasons.push(event.reason)),
    });
    await identity.update();
    const before = await shared(made, 'crl.pem');
    await env.stop('est-ca');
    try {
      await identity.update();
      await identity.update();
      expect(reasons).toEqual([expect.stringMatching(/^CRL: http:\/\/.*ECONNREFUSED/)]);
      expect(await shared(made, 'crl.pem')).toBe(before);
    } finally {
      await env.start('est-ca');
    }
  });
});

describe.skipIf(nginx === '')('a workload with the identity of the device', () => {
  it('F37: nginx, told by SIGHUP, uses the new certificate for its next connection; the old key is gone', async () => {
    const made = await factory.claimed('workload');
    await onboard(made.folder);
    const upstream = await startUpstream(await trustAnchors(env.operator));
    const nginxPid = join(made.folder.path, 'nginx.pid');
    const user = { name: 'nginx', pidFile: nginxPid, signal: 'SIGHUP', process: 'nginx' };
    await writeFile(join(made.folder.path, 'users.json'), JSON.stringify([user]));
    const events: RunEvent[] = [];
    const over = new AbortController();
    const count = (step: RunEvent['step']) => events.filter((event) => event.step === step).length;
    const { serialNumber } = leaf((await made.folder.operational()) ?? expect.unreachable());
    const running = run(made.folder, {
      ...{ statusMs: 200, maxWaitMs: 500, signal: over.signal, report: (event) => events.push(event) },
      identity: { refreshMs: 300 },
    });
    try {
      await vi.waitFor(() => shared(made, 'crl.pem'), 20_000);
      const own = (name: string) => pathOf(made, 'current', name);
      await using workload = await startNginx(nginx, {
        configuration: (port, directory) =>
          nginxConfiguration(
            directory,
            `
          server {
            listen 127.0.0.1:${port};
            location / {
              proxy_pass https://127.0.0.1:${upstream.port};
              proxy_ssl_certificate ${own('certificate.pem')};
              proxy_ssl_certificate_key ${own('key.pem')};
              proxy_ssl_session_reuse off;
            }
          }`,
          ),
      });
      await writeFile(nginxPid, `${workload.pid}\n`);
      expect(await textOf(workload.port)).toBe(serialNumber);
      const key = await shared(made, 'key.pem');
      await env.operator.post('/v1/accounts/acme/campaigns', { deviceIds: [made.id] });
      await vi.waitFor(() => expect(count('renewed')).toBe(1), 30_000);
      const renewed = leaf((await made.folder.operational()) ?? expect.unreachable()).serialNumber;
      expect(renewed).not.toBe(serialNumber);
      await vi.waitFor(async () => expect(await textOf(workload.port)).toBe(renewed), 20_000);
      const files = await readdir(made.folder.path, { recursive: true, withFileTypes: true });
      for (const file of files.filter((entry) => entry.isFile()))
        expect(await readFile(join(file.parentPath, file.name), 'utf8'), file.name).not.toContain(key.trim());
    } finally {
      over.abort();
      await running;
      upstream.close();
    }
  });
});
