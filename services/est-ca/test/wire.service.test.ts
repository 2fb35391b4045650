import { connect } from 'node:tls';
import { createCsr, decodeCertsOnly, encodePem, generateKeyPair, parseCertificate } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';

let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture();
});
afterAll(() => est?.[Symbol.asyncDispose]());

async function readyToEnrol(deviceId: string) {
  const device = await est.bootstrapDevice(deviceId);
  const { privateKey } = generateKeyPair('P-256');
  return { basic: [deviceId, await est.grantFor(device)] as const, privateKey };
}

/** Writes these bytes on a TLS connection and gives each piece that comes back until the server ends it. */
function exchange(...pieces: readonly string[]): Promise<readonly string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
  const received: string[] = [];
  const socket = connect({ host: '127.0.0.1', port: est.service.estPort, ca: est.anchors });
  const waiting = [...pieces];
  const next = () => socket.write(waiting.shift() ?? '');
  socket.on('secureConnect', next);
  socket.on('data', (data) => {
    received.push(data.toString('latin1'));
    if (waiting.length > 0) next();
  });
  socket.on('error', reject);
  socket.on('end', () => resolve(received));
  return promise;
}

describe('cacerts (RFC 7030 §4.1.2)', () => {
  it.each(['/.well-known/est/cacerts', `/.well-known/est/${ACCOUNT}/cacerts`])(
    '%s needs no authentication',
    async (path) => {
      const reply = await call(est, { path });
      expect(reply.status).toBe(200);
      expect(reply.headers['content-type']).toBe('application/pkcs7-mime');
      expect(reply.headers['content-transfer-encoding']).toBe('base64');
      const certificates = decodeCertsOnly(new Uint8Array(Buffer.from(reply.body, 'base64'))).map(
        parseCertificate,
      );
      const names = certificates.map(({ subject }) => subject.commonName).toSorted();
      expect(names).toEqual(['Signet Factory CA', 'Signet Issuing CA', 'Signet Root CA', 'Signet Server CA']);
    },
  );

  it('below a label that nobody uses are those of the platform: accounts are named, not made', async () => {
    const unused = await call(est, { path: '/.well-known/est/nobody/cacerts' });
    const plain = await call(est, { path: '/.well-known/est/cacerts' });
    expect([unused.status, unused.body]).toEqual([200, plain.body]);
  });

  it('is wrapped at 64 columns for clients that name themselves, one line for those that do not', async () => {
    const wrapped = (await call(est, { path: '/.well-known/est/cacerts' })).body.split('\n');
    expect(wrapped.at(-1)).toBe('');
    expect(wrapped.slice(0, -2).every((line) => line.length === 64)).toBe(true);
    const request = 'GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const [, body = '\n'] = (await exchange(request)).join('').split('\r\n\r\n');
    expect(body).not.toContain('\n');
  });
});

describe('the answer on the wire', () => {
  it('has names in their usual case, Content-Length, at most 16 headers, and comes in one piece', async () => {
    const request = 'GET /.well-known/est/csrattrs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const pieces = await exchange(request);
    expect(pieces).toHaveLength(1);
    const [head = '', body] = (pieces[0] ?? '').split('\r\n\r\n');
    const names = head
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(':')[0] ?? '');
    expect(names).toEqual(
      expect.arrayContaining(['Content-Type', 'Content-Transfer-Encoding', 'Content-Length', 'Connection']),
    );
    expect(names.every((name) => /^[A-Z]/.test(name))).toBe(true);
    expect(names.length).toBeLessThanOrEqual(16);
    expect(body).toBe('MAA=');
  });

  it('to an enrolment has the exact type that clients compare with', async () => {
    const { basic, privateKey } = await readyToEnrol('dev-type');
    const reply = await call(est, enrolment({ privateKey }, { basic }));
    expect(reply.headers['content-type']).toBe('application/pkcs7-mime; smime-type=certs-only');
    expect(reply.headers['transfer-encoding']).toBeUndefined();
    expect(reply.headers['content-length']).toBe(String(reply.body.length));
  });
});

describe('a request is taken', () => {
  it('with a CSR in PEM', async () => {
    const { basic, privateKey } = await readyToEnrol('dev-pem');
    const body = encodePem('CERTIFICATE REQUEST', createCsr({ privateKey }));
    expect(
      issuedIn(await call(est, { ...enrolment({ privateKey }, { basic }), body })).subject.commonName,
    ).toBe('dev-pem');
  });

  it('in chunks, after 100-continue', async () => {
    const { basic, privateKey } = await readyToEnrol('dev-chunks');
    const body = Buffer.from(createCsr({ privateKey })).toString('base64');
    const head = [
      'POST /.well-known/est/simpleenroll HTTP/1.1',
      'Host: localhost',
      'User-Agent: test',
      `Authorization: Basic ${btoa(basic.join(':'))}`,
      'Content-Type: application/pkcs10',
      'Content-Transfer-Encoding: base64',
      'Transfer-Encoding: chunked',
      'Expect: 100-continue',
      'Connection: close',
      '\r\n',
    ].join('\r\n');
    const half = Math.floor(body.length / 2);
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
    const pieces = await exchange(head, `${chunk(body.slice(0, half))}${chunk(body.slice(half))}0\r\n\r\n`);
    expect(pieces[0]).toMatch(/^HTTP\/1\.1 100 /);
    expect(pieces.slice(1).join('')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('with a type that has parameters, in whatever case', async () => {
    const { basic, privateKey } = await readyToEnrol('dev-case');
    const headers = { 'Content-Type': 'Application/PKCS10; charset=us-ascii' };
    expect((await call(est, enrolment({ privateKey }, { basic, headers }))).status).toBe(200);
  });
});

describe('a request is refused, in text', () => {
  const csr = () => ({ privateKey: generateKeyPair('P-256').privateKey });

  it.each([
    ['an unknown operation', '/.well-known/est/enroll', 404],
    ['a path outside EST', '/', 404],
    ['a malformed label', '/.well-known/est/Not_A_Label/cacerts', 404],
    ['an unknown profile', `/.well-known/est/${ACCOUNT}.fast/cacerts`, 404],
    ['the name of an operation as label', '/.well-known/est/csrattrs/cacerts', 404],
    ["the platform's own account as label", '/.well-known/est/signet/cacerts', 404],
  ])('%s: %s', async (_, path, status) => {
    const reply = await call(est, { path });
    expect(reply.status).toBe(status);
    expect(reply.headers['content-type']).toMatch(/^text\/plain/);
    expect(reply.body).toMatch(/^(path|label): /);
  });

  it('a wrong method, with Allow', async () => {
    const reply = await call(est, { path: '/.well-known/est/simpleenroll' });
    expect([reply.status, reply.headers.allow]).toEqual([405, 'POST']);
    const posted = await call(est, { path: '/.well-known/est/cacerts', body: 'x' });
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET']);
  });

  it('a wrong and a missing Content-Type', async () => {
    for (const headers of [{ 'Content-Type': 'text/plain' }, { 'Content-Type': '' }]) {
      const reply = await call(est, enrolment(csr(), { headers }));
      expect({ status: reply.status, body: reply.body }).toEqual({
        status: 415,
        body: 'Content-Type: application/pkcs10 expected\n',
      });
    }
  });

  it('a body over the limit', async () => {
    const reply = await call(est, { ...enrolment(csr()), body: 'A'.repeat(200_000) });
    expect({ status: reply.status, body: reply.body }).toEqual({ status: 413, body: 'body: too long\n' });
  });

  it('full CMC and server-side keys: 501', async () => {
    for (const operation of ['fullcmc', 'serverkeygen']) {
      const reply = await call(est, enrolment(csr(), { path: `/.well-known/est/${operation}` }));
      expect([reply.status, reply.body]).toEqual([501, `${operation}: not implemented by this server\n`]);
    }
  });
});
