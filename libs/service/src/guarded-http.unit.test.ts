import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { commonHeaders } from './common-headers.ts';
import type { ConnectionLimits } from './connections/connection-limits.ts';
import { startDeviceHttps } from './device-http.ts';
import { Health } from './health.ts';
import { startHealthServer } from './health-server.ts';
import { startPlainHttp } from './plain-http.ts';
import { openServerCertificate, type ServerCertificate } from './server-certificate.ts';
import { openTestFixture, type TestFixture } from './testing/fixture.ts';
import { startTlsHttp } from './tls-http.ts';

let stack: AsyncDisposableStack;
let fixture: TestFixture;
let certificate: ServerCertificate;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  fixture = stack.use(await openTestFixture());
  certificate = stack.use(
    await openServerCertificate({
      ...fixture.deps,
      service: 'gateway',
      names: ['localhost', '127.0.0.1'],
      dataDir: fixture.dataDir,
      issue: fixture.deps.bus,
    }),
  );
});
afterEach(() => stack.disposeAsync());

const kinds = ['plain', 'tls', 'device', 'health'] as const;
type Kind = (typeof kinds)[number];

/** A listener of one kind, with a route that answers and one that takes a body. */
async function listen(kind: Kind, limits: Partial<ConnectionLimits> = {}): Promise<number> {
  const { log, metrics, admission } = fixture.deps;
  const common = {
    ...{ port: 0, host: '127.0.0.1', log, certificate },
    connections: { listener: kind, metrics, limits },
    limits: { requestMs: 120_000 },
    routes(app: Parameters<Parameters<typeof startPlainHttp>[0]['routes']>[0]) {
      app.get('/kept', async (_request, reply) => reply.header('cache-control', 'max-age=60').send('kept'));
      app.post('/health', async () => 'taken');
      app.get('/health', async () => 'well');
    },
  };
  const gate = admission.gate({ listener: 'gateway', purposes: ['operational'], allowAnonymous: true });
  switch (kind) {
    case 'plain':
      return stack.use(await startPlainHttp(common)).port;
    case 'tls':
      return stack.use(await startTlsHttp(common)).port;
    case 'device':
      return stack.use(await startDeviceHttps({ ...common, gate })).port;
    case 'health': {
      const exposition = fixture.exposition;
      return stack.use(await startHealthServer({ ...common, health: new Health(), exposition })).port;
    }
  }
}

/** Resolves when the connection is over, also where it ends by a reset. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

async function open(kind: Kind, port: number): Promise<Socket> {
  const isTls = kind === 'tls' || kind === 'device';
  const socket = isTls
    ? connectTls({ host: '127.0.0.1', port, ca: fixture.pki.trustAnchors })
    : connect(port, '127.0.0.1');
  stack.defer(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, isTls ? 'secureConnect' : 'connect');
  return socket;
}

/** Everything that comes until the server closes. */
async function answerTo(kind: Kind, port: number, request: string): Promise<string> {
  const socket = await open(kind, port);
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  const closed = closeOf(socket);
  socket.write(request);
  await closed;
  return text;
}

describe.each(kinds)('the %s listener', (kind) => {
  test('sends the common headers with every answer, with errors and with what is no request too', async () => {
    const port = await listen(kind, { requestMs: 1000 });
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const requests: readonly (readonly [string, number])[] = [
      [get('/health'), 200],
      [get('/nothing'), 404],
      ['no request at all\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nHost: x\r\nBig: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
      ['GET /health HTTP/1.1\r\nHost:', 408],
    ];
    for (const [request, status] of requests) {
      const answer = await answerTo(kind, port, request);
      expect(answer.split('\r\n')[0]).toContain(` ${status} `);
      for (const [name, value] of Object.entries(commonHeaders))
        expect(answer.toLowerCase(), `${status}: ${name}`).toContain(
          `\r\n${name}: ${value}\r\n`.toLowerCase(),
        );
    }
    if (kind !== 'health')
      expect(await answerTo(kind, port, get('/kept'))).toMatch(/\r\ncache-control: max-age=60\r\n/i);
  });

  test('closes a peer that stays silent, or sends an byte now and then', async () => {
    const port = await listen(kind, { handshakeMs: 400, requestMs: 400 });
    const silent = connect(port, '127.0.0.1').on('error', () => {});
    const dripping = connect(port, '127.0.0.1').on('error', () => {});
    const bytes =
      kind === 'plain' || kind === 'health' ? 'GET / HTTP/1.1\r\n' : '\x16\x03\x01\x02\x00\x01\x00\x01';
    let sent = 0;
    const timer = setInterval(() => dripping.write(bytes[sent++ % bytes.length] ?? ''), 50);
    stack.defer(() => clearInterval(timer));
    const closed = [closeOf(silent.resume()), closeOf(dripping.resume())];
    await Promise.all(closed);
    const metrics = await fixture.exposition();
    expect(metrics).toMatch(new RegExp(`signet_connections_dropped_total\\{[^}]*listener="${kind}"`));
  });
});

test('a connection that has asked for something is not bounded by address, and one that has not is', {
  timeout: 120_000,
}, async () => {
  const port = await listen('plain', { unfinishedPerAddress: 5 });
  const silent = Array.from({ length: 20 }, () =>
    connect(port, '127.0.0.1')
      .on('error', () => {})
      .resume(),
  );
  await vi.waitFor(() => expect(silent.filter(({ closed }) => !closed)).toHaveLength(5), 60_000);
  const alive: Socket[] = [];
  for (let i = 0; i < 20; i++) {
    const socket = await open('plain', port);
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    alive.push(socket);
  }
  for (const socket of alive) {
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /);
  }
});

test('where an address has a bound that an operator set, a further connection of it is closed', async () => {
  const port = await listen('plain', { perAddress: 2 });
  const held = [await open('plain', port), await open('plain', port)];
  const further = connect(port, '127.0.0.1').on('error', () => {});
  await closeOf(further.resume());
  for (const socket of held) {
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /);
  }
});

test('a body that comes more slowly than it may is answered 408 after ten seconds', {
  timeout: 120_000,
}, async () => {
  const port = await listen('plain', { bodyRate: 100 });
  const socket = await open('plain', port);
  socket.write(
    'POST /health HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n',
  );
  const timer = setInterval(() => socket.write('x'), 200);
  stack.defer(() => clearInterval(timer));
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request-timeout"/);
});

test('an answer that takes longer than a client may be silent still comes', async () => {
  const { log } = fixture.deps;
  const { port } = stack.use(
    await startPlainHttp({
      ...{ port: 0, host: '127.0.0.1', log, limits: { silenceMs: 50 } },
      routes(app) {
        app.post('/slow', async (request) => {
          for (let silences = 0; silences < 3; silences++) await once(request.raw.socket, 'timeout');
          return 'done';
        });
      },
    }),
  );
  const socket = await open('plain', port);
  socket.write('POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
  expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 [\s\S]*done$/);
});

test('a client that does not read its answer loses the connection', async () => {
  const { log } = fixture.deps;
  const closed = Promise.withResolvers<void>();
  const { port } = stack.use(
    await startPlainHttp({
      ...{ port: 0, host: '127.0.0.1', log, limits: { silenceMs: 50 } },
      routes(app) {
        app.get('/long', async (request) => {
          request.raw.socket.once('close', () => closed.resolve());
          return 'x'.repeat(64 * 1024 * 1024);
        });
      },
    }),
  );
  const socket = await open('plain', port);
  socket.write('GET /long HTTP/1.1\r\nHost: x\r\n\r\n');
  await closed.promise;
});
