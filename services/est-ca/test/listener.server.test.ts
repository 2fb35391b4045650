import { createHash } from 'node:crypto';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import { createCsr, generateKeyPair } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment } from './support/est-client.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';
import { expectRefusal } from './support/scene.ts';

const openssl = requireServer('openssl');
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture();
});
afterAll(() => est?.[Symbol.asyncDispose]());

const GET = 'GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

async function granted(deviceId: string) {
  return [deviceId, await est.grantFor(await est.bootstrapDevice(deviceId))] as const;
}

describe('the EST listener (RFC 7030 §3.3)', () => {
  it('F75: answers nothing that is not inside TLS', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let received = '';
    const socket = connectPlain(est.service.estPort, '127.0.0.1', () => socket.write(GET));
    socket.on('data', (data) => {
      received += data.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(received));
    expect(await promise).not.toMatch(/HTTP\/1\.|200/);
  });

  it('honours Connection: close, ending TLS with close_notify before the connection', async () => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let received = '';
    const socket = connect({ host: '127.0.0.1', port: est.service.estPort, ca: est.anchors }, () =>
      socket.write(GET),
    );
    socket.on('data', (data) => {
      received += data.toString('latin1');
    });
    socket.on('error', reject);
    // Node emits "end" for a close_notify, and an error for a connection that was cut.
    socket.on('end', () => resolve(received));
    expect(await promise).toMatch(/^HTTP\/1\.1 200 OK\r\n(.*\r\n)*Connection: close\r\n/i);
  });

  it.skipIf(openssl === '').each([
    ['-tls1', 'ALL:@SECLEVEL=0'],
    ['-tls1_1', 'ALL:@SECLEVEL=0'],
    ['-tls1_2', 'AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:@SECLEVEL=0'],
    ['-tls1_2', 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0'],
    ['-tls1_2', 'aNULL:eNULL:@SECLEVEL=0'],
  ])('takes no handshake of openssl with %s and the suites %s', async (version, ciphers) => {
    const result = await run(openssl, [
      ...['s_client', '-connect', `127.0.0.1:${est.service.estPort}`, version, '-cipher', ciphers],
    ]);
    expect(result.code).not.toBe(0);
    expect(result.stdout.toString()).toMatch(/no peer certificate available/);
  });
});

describe('a CSR is refused, naming what is wrong (RFC 7030 §4.2.1)', () => {
  it('of another version than 0', async () => {
    const csr = createCsr({ privateKey: generateKeyPair('P-256').privateKey });
    const at = Buffer.from(csr).indexOf(Buffer.from('020100', 'hex'));
    csr[at + 2] = 1;
    const reply = await call(est, enrolment(csr, { basic: await granted('dev-version') }));
    await expectRefusal(est, reply, {
      status: 400,
      code: 'malformed-request',
      text: /version: 1, must be 0/,
    });
  });

  it.skipIf(openssl === '').each([
    ['a key on a curve that we do not take', 'ec', 'ec_paramgen_curve:P-521', '-sha256', /P-521/],
    [
      'a signature with SHA-1',
      'ec',
      'ec_paramgen_curve:P-256',
      '-sha1',
      /1\.2\.840\.10045\.4\.1 is not supported/,
    ],
  ])('with %s', async (_, algorithm, option, digest, text) => {
    const made = await run(openssl, [
      ...['req', '-new', '-newkey', algorithm, '-pkeyopt', option, digest, '-nodes'],
      ...['-keyout', '/dev/null', '-subj', '/CN=x', '-outform', 'DER'],
    ]);
    expect(made.code).toBe(0);
    const deviceId = `dev-${createHash('md5')
      .update(option + digest)
      .digest('hex')
      .slice(0, 8)}`;
    const csr = new Uint8Array(made.stdout);
    const reply = await call(est, enrolment(csr, { basic: await granted(deviceId) }));
    await expectRefusal(est, reply, { status: 400, code: 'weak-key', text });
  });
});

// last: what it has refused may be told together with the refusals of other tests
describe('a body of more than 64 KB', () => {
  it('is refused and counted once, in however many parts it comes, and the next request is answered', async () => {
    const before = await refusalsCounted();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let received = '';
    const socket = connect({ host: '127.0.0.1', port: est.service.estPort, ca: est.anchors });
    socket.on('error', reject);
    socket.on('end', () => resolve(received));
    socket.on('data', (data) => {
      received += data.toString('latin1');
      if (received.startsWith('HTTP/1.1 413')) write();
    });
    const chunk = `1000\r\n${'A'.repeat(4096)}\r\n`;
    const rest = [...Array.from({ length: 40 }, () => chunk), '0\r\n\r\n', GET];
    // each part by itself, once the one before is out: the listener sees many
    const write = (): void => {
      const part = rest.shift();
      if (part !== undefined) socket.write(part, () => setImmediate(write));
    };
    socket.write(
      `POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}`,
    );
    expect(await promise).toMatch(/^HTTP\/1\.1 413 [\s\S]*HTTP\/1\.1 200 OK\r\n/);
    expect(await refusalsCounted()).toBe(before + 1);
  });

  async function refusalsCounted(): Promise<number> {
    const text = await est.fixture.exposition();
    return Number(/signet_refusals_total\{[^}]*code="malformed-request"[^}]*\} (\d+)/.exec(text)?.[1] ?? 0);
  }
});
