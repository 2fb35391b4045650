import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { listAuthorities } from '@signet/contracts';
import { decodePem, parseCertificatePem } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openTestFixture } from './authority.ts';
import { OpensslCa } from './pki.ts';

const mosquitto = requireServer('mosquitto-broker');

const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 50 });

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A CONNECT of MQTT 3.1.1 for client id `x`, nothing else. */
const CONNECT = Buffer.from('100d00044d5154540402003c000178', 'hex');

describe.skipIf(mosquitto === '')('mosquitto under our authority', () => {
  it('F88: admits by our certificates, and refuses a revoked one once its CRL file was swapped', async () => {
    const ca = stack.use(await OpensslCa.create('/CN=Issuing CA'));
    await ca.sign('localhost');
    await ca.sign('dev-1');
    await ca.sign('dev-2');
    let crl = await ca.crl();
    const server = createServer((request, response) => {
      if (request.url === '/crl/issuing-1.crl') response.end(decodePem(crl.toString(), 'X509 CRL'));
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));

    const fixture = stack.use(await openTestFixture());
    const certificate = await ca.certificate;
    const { subjectKeyId = '' } = parseCertificatePem(certificate);
    stack.use(
      await fixture.bus.serve(listAuthorities, async () => ({
        authorities: [
          {
            ...{ authorityId: 'issuing-1', kind: 'issuing' as const, account: 'acme' },
            ...{ state: 'active' as const, certificate, subjectKeyId, notAfter: '2040-01-01T00:00:00Z' },
          },
        ],
      })),
    );
    const file = join(ca.folder, 'signet.crl');
    const pidFile = join(ca.folder, 'mosquitto.pid');
    const port = await freePort();
    await writeFile(
      join(ca.folder, 'mosquitto.conf'),
      [
        `listener ${port} 127.0.0.1`,
        `pid_file ${pidFile}`,
        ...['cafile ca.pem', 'certfile localhost.pem', 'keyfile localhost.key', `crlfile ${file}`],
        ...['require_certificate true', 'use_identity_as_username true', 'user root'],
      ].join('\n'),
    );
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const settings = { SIGNET_CRL_EXPORT_FILE: file, SIGNET_CRL_EXPORT_URL: url };
    const first = await fixture.start({}, settings);
    await until(async () => expect(await readFile(file, 'utf8')).toContain('BEGIN X509 CRL'));
    await first[Symbol.asyncDispose]();

    const child = spawn(mosquitto, ['-c', 'mosquitto.conf'], { cwd: ca.folder, stdio: 'ignore' });
    stack.defer(async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    });
    await until(async () => {
      const socket = connectTcp(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.destroy();
    });
    const admitted = async (name: string) => {
      const [cert, key] = await Promise.all(
        [`${name}.pem`, `${name}.key`].map((path) => readFile(join(ca.folder, path), 'utf8')),
      );
      const socket = connect({
        port,
        host: '127.0.0.1',
        ca: certificate,
        cert,
        key,
        rejectUnauthorized: false,
      });
      try {
        socket.once('secureConnect', () => socket.write(CONNECT));
        const [answer] = (await once(socket, 'data')) as [Buffer];
        return answer.toString('hex') === '20020000';
      } catch {
        return false;
      } finally {
        socket.destroy();
      }
    };
    expect(await admitted('dev-1')).toBe(true);
    expect(await admitted('dev-2')).toBe(true);
    await ca.revoke('dev-1');
    crl = await ca.crl();
    await fixture.start({}, { ...settings, SIGNET_CRL_EXPORT_PID_FILE: pidFile });
    await until(async () => expect(await admitted('dev-1')).toBe(false));
    expect(await admitted('dev-2')).toBe(true);
    const left = (await readdir(ca.folder)).filter((name) => name.startsWith('signet.crl'));
    expect(left).toEqual(['signet.crl']);
  });
});
