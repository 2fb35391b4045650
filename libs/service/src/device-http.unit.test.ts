import { once } from 'node:events';
import { Agent, type RequestOptions, request } from 'node:https';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import type { SignetEvent } from '@signet/contracts';
import type { TestIdentity } from '@signet/pki/testing';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { GateOptions } from './admission-gate.ts';
import { startDeviceHttps } from './device-http.ts';
import type { HttpLimits, HttpListener } from './http-app.ts';
import { openServerCertificate, type ServerCertificate } from './server-certificate.ts';
import { admissionOf, peerOf } from './socket-admission.ts';
import { openTestFixture, type TestFixture } from './testing/fixture.ts';

const account = 'acme';
let fixture: TestFixture;
let certificate: ServerCertificate;
const open: AsyncDisposable[] = [];

beforeEach(async () => {
  fixture = await openTestFixture();
  certificate = await openServerCertificate({
    ...fixture.deps,
    service: 'gateway',
    names: ['localhost', '127.0.0.1'],
    dataDir: fixture.dataDir,
    issue: fixture.deps.bus,
  });
});

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  await certificate[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});

async function listen(
  more: {
    gate?: Partial<GateOptions>;
    limits?: Partial<HttpLimits>;
    routes?: (app: FastifyInstance) => void;
  } = {},
): Promise<HttpListener> {
  const listener = await startDeviceHttps({
    port: 0,
    host: '127.0.0.1',
    certificate,
    gate: fixture.deps.admission.gate({ listener: 'gateway', purposes: ['operational'], ...more.gate }),
    log: fixture.deps.log,
    limits: more.limits ?? {},
    routes(app) {
      app.get('/who', async (req) => {
        const peer = peerOf(req.raw.socket);
        const kind = admissionOf(req.raw.socket)?.kind;
        return { kind, account: peer?.account, deviceId: peer?.deviceId, expired: peer?.expired };
      });
      more.routes?.(app);
    },
  });
  open.push(listener);
  return listener;
}

type Answer = { status: number; body: string; headers: Record<string, string | string[] | undefined> };

async function call(
  listener: HttpListener,
  path: string,
  identity?: TestIdentity,
  options: RequestOptions & { data?: string } = {},
): Promise<Answer> {
  const { data, ...rest } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const req = request(
    {
      host: '127.0.0.1',
      port: listener.port,
      path,
      ca: fixture.pki.trustAnchors,
      agent: false,
      ...(identity === undefined ? {} : { cert: identity.cert, key: identity.key }),
      ...rest,
    },
    (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
      );
      response.on('error', reject);
    },
  );
  req.on('error', reject).end(data);
  return await promise;
}

async function raw(
  listener: HttpListener,
  identity?: TestIdentity,
  version: SecureVersion = 'TLSv1.3',
): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: listener.port,
    ca: fixture.pki.trustAnchors,
    minVersion: version,
    maxVersion: version,
    ...(identity === undefined ? {} : { cert: identity.cert, key: identity.key }),
  });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** Sends a request on an open connection, and waits for the end of its answer's headers. */
async function ask(socket: TLSSocket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const [chunk] = await once(socket, 'data');
  return String(chunk);
}

async function events(type: SignetEvent['type'], count: number): Promise<SignetEvent[]> {
  const seen: SignetEvent[] = [];
  const tail = await fixture.deps.bus.tail(
    { types: [type], from: 'start' },
    (event) => void seen.push(event),
  );
  await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(count), { timeout: 5000 });
  await tail[Symbol.asyncDispose]();
  return seen;
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'F7: a device with an operational certificate is admitted and named over %s',
  async (version) => {
    const listener = await listen();
    const socket = await raw(listener, fixture.pki.operational(account, 'dev-1'), version);
    expect(socket.getProtocol()).toBe(version);
    expect(await ask(socket, '/who')).toContain('"kind":"verified","account":"acme","deviceId":"dev-1"');
    socket.destroy();
  },
);

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a client without a certificate gets 401 with the reason over %s',
  async (version) => {
    const listener = await listen();
    const answer = await call(listener, '/who', undefined, { minVersion: version, maxVersion: version });
    expect(answer.status).toBe(401);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.headers.connection).toBe('close');
    expect(JSON.parse(answer.body)).toEqual({
      type: 'about:blank',
      title: 'Unauthorized',
      status: 401,
      code: 'no-certificate',
      detail: 'a client certificate is required',
    });
    const [event] = await events('DEVICE_REFUSED', 1);
    expect(event?.data).toMatchObject({
      code: 'no-certificate',
      listener: 'gateway',
      address: '127.0.0.1',
      count: 1,
    });
    expect(event?.subject).toBe('unknown');
  },
);

test.each([
  ['expired', 'expired'],
  ['forged', 'bad-signature'],
  ['forged-expired', 'bad-signature'],
  ['wrong-extended-key-usage', 'wrong-extended-key-usage'],
  ['ca-as-leaf', 'not-a-leaf'],
  ['other-account', 'bad-identity'],
  ['self-signed', 'unknown-issuer'],
] as const)(
  'F53: a client with a certificate that is %s gets 403 %s, and an event says so',
  async (defect, code) => {
    const listener = await listen();
    const identity = fixture.pki.defective(defect, account, 'dev-2');
    const answer = await call(listener, '/who', identity);
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toMatchObject({ code, detail: 'this certificate is not admitted here' });
    const [event] = await events('DEVICE_REFUSED', 1);
    expect(event?.data).toMatchObject({ code, fingerprint: identity.certificate.fingerprint });
  },
);

test('a certificate that is not valid yet by this clock is told to come again: 503 with Retry-After', async () => {
  const listener = await listen();
  const identity = fixture.pki.defective('not-yet-valid', account, 'dev-2');
  const answer = await call(listener, '/who', identity);
  expect(answer.status).toBe(503);
  expect(answer.headers['retry-after']).toBe('60');
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'not-yet-valid' });
  const [event] = await events('DEVICE_REFUSED', 1);
  expect(event?.data).toMatchObject({ code: 'not-yet-valid' });
});

test('a refused client learns nothing about which paths exist', async () => {
  const listener = await listen();
  for (const path of ['/nothing', '/who?x=%zz', '//'])
    expect((await call(listener, path)).status, path).toBe(401);
});

test('while CAs or deny list are missing nobody is admitted: 503 with Retry-After', async () => {
  await using unloaded = await openTestFixture({ pki: fixture.pki, serve: ['authorities'], loaded: false });
  await unloaded.deps.admission.trust.whenLoaded();
  const gate = unloaded.deps.admission.gate({ listener: 'gateway', purposes: ['operational'] });
  await using listener = await startDeviceHttps({
    ...{ port: 0, host: '127.0.0.1', certificate, gate, log: fixture.deps.log },
    routes: () => {},
  });
  const answer = await call(listener, '/who', fixture.pki.operational(account, 'dev-1'));
  expect(answer.status).toBe(503);
  expect(answer.headers['retry-after']).toBe('10');
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'unavailable' });
  expect(await unloaded.exposition()).toContain(
    'signet_refusals_total{listener="gateway",code="denylist-not-loaded"} 1',
  );
  const forged = await call(listener, '/who', fixture.pki.defective('forged', account, 'dev-1'));
  expect(forged.status).toBe(403);
});

test('F11: with store and bus cut an admitting listener goes on deciding, either way', async () => {
  const listener = await listen();
  await fixture.deny({ kind: 'device', account, deviceId: 'dev-bad' });
  await vi.waitFor(() => expect(fixture.deps.admission.denyList.number()).toBe(1));
  await fixture.backbone[Symbol.asyncDispose]();
  const good = await call(listener, '/who', fixture.pki.operational(account, 'dev-good'));
  expect(good.status).toBe(200);
  const bad = await call(listener, '/who', fixture.pki.operational(account, 'dev-bad'));
  expect(JSON.parse(bad.body).code).toBe('denied');
});

test('a session ends at the notAfter of its certificate', async () => {
  const listener = await listen();
  const socket = await raw(
    listener,
    fixture.pki.operational(account, 'dev-short', { notAfter: Math.floor(Date.now() / 1000 + 2) * 1000 }),
  );
  expect(await ask(socket, '/who')).toContain('dev-short');
  await once(socket, 'close');
  expect(await fixture.exposition()).toContain(
    'signet_sessions_ended_total{listener="gateway",reason="expired"} 1',
  );
});

test('F58: a bootstrap certificate does not open the device gateway', async () => {
  const listener = await listen();
  const answer = await call(listener, '/who', fixture.pki.bootstrap('dev-3'));
  expect(answer.status).toBe(403);
  expect(JSON.parse(answer.body).code).toBe('wrong-purpose');
});

test('where the protocol allows it a client without a certificate is anonymous, and one with a wrong one still refused', async () => {
  const listener = await listen({ gate: { listener: 'est', allowAnonymous: true } });
  expect(JSON.parse((await call(listener, '/who')).body)).toEqual({ kind: 'anonymous' });
  const wrong = await call(listener, '/who', fixture.pki.defective('forged', account, 'dev-1'));
  expect(wrong.status).toBe(403);
});

test('where renewal allows it an expired certificate is let in and marked, a forged expired one is not', async () => {
  const listener = await listen({ gate: { listener: 'est', allowExpired: true } });
  const expired = await call(listener, '/who', fixture.pki.defective('expired', account, 'dev-1'));
  expect(JSON.parse(expired.body)).toEqual({ kind: 'verified', account, deviceId: 'dev-1', expired: true });
  const forged = await call(listener, '/who', fixture.pki.defective('forged-expired', account, 'dev-1'));
  expect(JSON.parse(forged.body).code).toBe('bad-signature');
});

test('F72: a kept connection ends as soon as a delta denies its device, and its next connection is refused', async () => {
  const listener = await listen();
  const identity = fixture.pki.operational(account, 'dev-4');
  const other = await raw(listener, fixture.pki.operational(account, 'dev-5'));
  const socket = await raw(listener, identity);
  expect(await ask(socket, '/who')).toContain('dev-4');
  const closed = once(socket, 'close');

  await fixture.deny({ kind: 'device', account, deviceId: 'dev-4' });
  await closed;
  const again = await call(listener, '/who', identity);
  expect(again.status).toBe(403);
  expect(JSON.parse(again.body).code).toBe('denied');
  expect(await ask(other, '/who')).toContain('dev-5');
  other.destroy();
  expect(await fixture.exposition()).toMatch(
    /signet_revocation_to_kick_seconds_count\{listener="gateway"\} 1/,
  );
});

test('a session ends when the CA that issued its certificate is disabled', async () => {
  const listener = await listen();
  const mine = await raw(listener, fixture.pki.operational(account, 'dev-6'));
  const rival = await raw(
    listener,
    fixture.pki.operational('rival', 'dev-7', { signedBy: fixture.pki.rivalIssuing }),
  );
  expect(await ask(rival, '/who')).toContain('dev-7');
  const closed = once(rival, 'close');
  fixture.setAuthorities(
    fixture.pki.authorities.map((authority) =>
      authority === fixture.pki.rivalIssuing ? { ...authority, state: 'disabled' } : authority,
    ),
  );
  await fixture.deps.admission.trust.refresh();
  await closed;
  expect(await ask(mine, '/who')).toContain('dev-6');
  mine.destroy();
  const [event] = await events('DEVICE_REFUSED', 1);
  expect(event?.data).toMatchObject({ code: 'issuer-disabled', deviceId: 'dev-7' });
});

test('a new certificate is served at once, and connections made under the old one live on', async () => {
  const listener = await listen();
  const identity = fixture.pki.operational(account, 'dev-8');
  const before = await raw(listener, identity);
  const old = before.getPeerX509Certificate()?.serialNumber;
  await certificate.renew();

  const after = await raw(listener, identity);
  expect(after.getPeerX509Certificate()?.serialNumber).not.toBe(old);
  expect(await ask(before, '/who')).toContain('dev-8');
  expect(await ask(after, '/who')).toContain('dev-8');
  before.destroy();
  after.destroy();
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'no session can be resumed, before a reload of the certificate or after it (%s)',
  async (version) => {
    const listener = await listen();
    const identity = fixture.pki.operational(account, 'dev-9');
    const resumed = async () => {
      const first = await raw(listener, identity, version);
      let session: Buffer | undefined;
      first.on('session', (data: Buffer) => {
        session = data;
      });
      await ask(first, '/who');
      session ??= first.getSession();
      first.destroy();
      const socket = connect({
        host: '127.0.0.1',
        port: listener.port,
        ca: fixture.pki.trustAnchors,
        minVersion: version,
        maxVersion: version,
        ...(session === undefined ? {} : { session }),
      });
      await once(socket, 'secureConnect');
      const answer = await ask(socket, '/who');
      const reused = socket.isSessionReused();
      socket.destroy();
      return { reused, answer };
    };
    const before = await resumed();
    expect(before.reused).toBe(false);
    expect(before.answer).toContain('401 Unauthorized');
    await certificate.renew();
    const after = await resumed();
    expect(after.reused).toBe(false);
    expect(after.answer).toContain('401 Unauthorized');
  },
);

test('a graceful stop lets the request in flight finish, closes kept connections and refuses new ones', async () => {
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const listener = await listen({
    routes(app) {
      app.get('/slow', async () => {
        started.resolve();
        await release.promise;
        return { done: true };
      });
    },
  });
  const identity = fixture.pki.operational(account, 'dev-10');
  const idle = await raw(listener, identity);
  await ask(idle, '/who');
  const idleClosed = once(idle, 'close');
  const slow = call(listener, '/slow', identity, { agent: new Agent({ keepAlive: true }) });
  await started.promise;

  const stopped = listener.close();
  await idleClosed;
  await expect(call(listener, '/who', identity)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  release.resolve();
  const answer = await slow;
  expect(answer).toMatchObject({ status: 200, body: '{"done":true}' });
  expect(answer.headers.connection).toBe('close');
  await stopped;
});

test('what does not finish by the deadline of a stop is cut', async () => {
  const started = Promise.withResolvers<void>();
  const listener = await listen({
    routes(app) {
      app.get('/never', async () => {
        started.resolve();
        return await new Promise(() => {});
      });
    },
  });
  const stuck = call(listener, '/never', fixture.pki.operational(account, 'dev-11'));
  const cut = expect(stuck).rejects.toMatchObject({ code: 'ECONNRESET' });
  await started.promise;
  await listener.close(50);
  await cut;
});

test('a client that opens a connection and never finishes its headers is cut off', async () => {
  const listener = await listen({ limits: { headersMs: 200, requestMs: 400 } });
  const socket = await raw(listener, fixture.pki.operational(account, 'dev-12'));
  socket.resume().write('GET /who HTTP/1.1\r\nHost: loc');
  await once(socket, 'close');
});

test('a client that asks before it sends is not told to send a body that is too large', async () => {
  const listener = await listen({
    limits: { bodyBytes: 1000 },
    routes: (app) => void app.post('/echo', async ({ body }) => body),
  });
  const asks = async (length: number) => {
    const socket = await raw(listener, fixture.pki.operational(account, 'dev-14'));
    const head = `POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n`;
    socket.write(`${head}Expect: 100-continue\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.toString().split('\r\n', 1)[0];
  };
  expect(await asks(2000)).toBe('HTTP/1.1 413 Payload Too Large');
  expect(await asks(20)).toBe('HTTP/1.1 100 Continue');
});

test('an oversized body and broken JSON are refused as problems that name the reason', async () => {
  const listener = await listen({
    limits: { bodyBytes: 1000 },
    routes(app) {
      app.post('/echo', async (req) => z.object({ name: z.string('must be text') }).parse(req.body));
      app.get('/broken', async () => {
        throw new Error('password=hunter2');
      });
    },
  });
  const identity = fixture.pki.operational(account, 'dev-13');
  const post = (data: string) =>
    call(listener, '/echo', identity, {
      method: 'POST',
      data,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(data) },
    });
  expect(JSON.parse((await post(JSON.stringify({ name: 'x'.repeat(2000) }))).body)).toMatchObject({
    status: 413,
    code: 'body-too-large',
    field: 'body',
    detail: 'body: longer than 1000 bytes',
  });
  expect(JSON.parse((await post('{"name":')).body)).toMatchObject({ status: 400, code: 'invalid-request' });
  expect(JSON.parse((await post('{"name":1}')).body)).toMatchObject({
    status: 400,
    code: 'invalid-input',
    field: 'name',
    detail: 'name: must be text',
  });
  expect(JSON.parse((await post('['.repeat(900))).body)).toMatchObject({
    status: 400,
    code: 'invalid-input',
    field: 'body',
    detail: 'body: nested deeper than 32 levels',
  });
  expect(JSON.parse((await post('{"name":"a","name":"b"}')).body)).toMatchObject({
    status: 400,
    detail: 'body: "name" comes twice in one object',
  });
  const address = await call(listener, '/%E0%A4%A', identity);
  expect(JSON.parse(address.body)).toMatchObject({ status: 400, code: 'invalid-request' });
  const broken = await call(listener, '/broken', identity);
  expect(broken.status).toBe(500);
  expect(broken.body).not.toContain('hunter2');
  expect((await call(listener, '/nothing', identity)).status).toBe(404);
});

test('no plaintext is spoken on a device port (F75)', async () => {
  const listener = await listen();
  await expect(fetch(`http://127.0.0.1:${listener.port}/who`)).rejects.toThrow();
});
