import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import {
  type ConnectionOptions,
  connect,
  createServer,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
} from 'node:tls';
import { generateKeyPair } from '@signet/pki';
import { createTestPki, type Defect, type TestIdentity } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceTlsOptions, reloadTls } from './device-tls.ts';
import { leafOf } from './leaf-of.ts';
import { verifyPeer } from './verify-peer.ts';

const versions = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof versions)[number];

const pki = createTestPki();
const foreign = createTestPki();
const identity = pki.serverIdentity();

/** What a listener saw and decided: its one line to whoever connects. */
type Answer = { readonly reused: boolean; readonly nodeAuthorized: boolean; readonly decision: string };

async function listen(options: TlsOptions): Promise<Server> {
  const server = createServer(options, (socket) => {
    const { issuers } = pki;
    const peer = verifyPeer({
      leaf: leafOf(socket),
      issuers,
      purposes: ['operational'],
      now: Date.now(),
      denied: () => undefined,
    });
    const answer: Answer = {
      reused: socket.isSessionReused(),
      nodeAuthorized: socket.authorized,
      decision: peer.ok ? `admitted ${peer.account}/${peer.deviceId}` : peer.code,
    };
    socket.on('error', () => socket.destroy());
    socket.resume();
    socket.write(`${JSON.stringify(answer)}\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Connects, reads the listener's line, hangs up; `session` is what could be resumed. */
async function visit(server: Server, version: Version, options: ConnectionOptions = {}) {
  const socket = connect({
    port: portOf(server),
    host: '127.0.0.1',
    servername: 'localhost',
    ca: pki.trustAnchors,
    minVersion: version,
    maxVersion: version,
    ...options,
  });
  let session: Buffer | undefined;
  socket.on('session', (latest) => {
    session = latest;
  });
  const [line] = (await once(createInterface(socket), 'line')) as [string];
  const certificate = socket.getPeerX509Certificate()?.fingerprint256;
  session ??= socket.getSession();
  const closed = once(socket, 'close');
  socket.destroy();
  await closed;
  return { ...(JSON.parse(line) as Answer), session, certificate };
}

const shown = ({ cert, key }: TestIdentity, ...others: readonly string[]): ConnectionOptions => ({
  cert: [cert, ...others].join(''),
  key,
});

describe.each(versions)('a device listener on %s', (version) => {
  let server: Server;
  beforeAll(async () => {
    server = await listen(deviceTlsOptions(identity));
  });
  afterAll(() => close(server));

  it('F53: admits a device by its certificate, though Node itself would not', async () => {
    const answer = await visit(server, version, shown(pki.operational('acme', 'dev-1')));
    expect(answer).toMatchObject({ decision: 'admitted acme/dev-1', nodeAuthorized: false });
  });

  it.each(['P-384', 'Ed25519', 'RSA-2048'] as const)('admits a device with a key of %s', async (type) => {
    const { privateKey } = generateKeyPair(type);
    const answer = await visit(server, version, shown(pki.operational('acme', 'dev-1', { privateKey })));
    expect(answer).toMatchObject({ decision: 'admitted acme/dev-1' });
  });

  it('F53: is itself refused by a device that does not know its root', async () => {
    const wrong = { ...shown(pki.operational('acme', 'dev-1')), ca: foreign.trustAnchors };
    await expect(visit(server, version, wrong)).rejects.toMatchObject({
      code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    });
  });

  it('refuses a peer that shows no certificate', async () => {
    expect(await visit(server, version)).toMatchObject({ decision: 'no-certificate' });
  });

  const defects: Record<Defect, string> = {
    expired: 'expired',
    'not-yet-valid': 'not-yet-valid',
    forged: 'bad-signature',
    'forged-expired': 'bad-signature',
    'wrong-extended-key-usage': 'wrong-extended-key-usage',
    'ca-as-leaf': 'not-a-leaf',
    'other-account': 'bad-identity',
    'self-signed': 'unknown-issuer',
  };
  it.each(Object.entries(defects))('F53: refuses a certificate that is %s, as %s', async (defect, code) => {
    const device = pki.defective(defect as Defect, 'acme', 'dev-1');
    expect(await visit(server, version, shown(device))).toMatchObject({ decision: code });
  });

  it('F50: refuses certificates of a wrong shape, each with its reason', async () => {
    const wrong = [
      [{ unknownCritical: '1.2.3.4' }, 'malformed-certificate'],
      [{ keyUsage: ['keyAgreement'] as const }, 'wrong-key-usage'],
      [{ uris: [] }, 'bad-identity'],
    ] as const;
    for (const [changes, decision] of wrong)
      expect(await visit(server, version, shown(pki.operational('acme', 'dev-1', changes)))).toMatchObject({
        decision,
      });
  });

  it('F27: refuses a bootstrap certificate, genuine as it is', async () => {
    expect(await visit(server, version, shown(pki.bootstrap('dev-1')))).toMatchObject({
      decision: 'wrong-purpose',
    });
  });

  it('believes no other certificate that a peer sends along', async () => {
    const genuine = pki.operational('acme', 'dev-1');
    const cases = [
      [foreign.operational('acme', 'dev-1'), [foreign.issuing.pem, foreign.root.pem], 'unknown-issuer'],
      [pki.defective('self-signed', 'acme', 'dev-1'), [genuine.cert, pki.issuing.pem], 'unknown-issuer'],
      [
        pki.defective('forged', 'acme', 'dev-1'),
        [genuine.cert, pki.issuing.pem, pki.root.pem],
        'bad-signature',
      ],
      [pki.operational('acme', 'dev-2'), [foreign.issuing.pem, genuine.cert], 'admitted acme/dev-2'],
    ] as const;
    for (const [device, others, decision] of cases)
      expect(await visit(server, version, shown(device, ...others))).toMatchObject({ decision });
  });

  it('resumes no session, of a peer with or without certificate, before and after a reload', async () => {
    const device = shown(pki.operational('acme', 'dev-1'));
    const second = pki.serverIdentity();
    const seen = new Set<string | undefined>();
    for (const reload of [undefined, second]) {
      if (reload !== undefined) reloadTls(server, reload);
      const anonymous = await visit(server, version);
      const known = await visit(server, version, device);
      expect(anonymous.session).toBeInstanceOf(Buffer);
      seen.add(known.certificate);
      for (const { session } of [anonymous, known]) {
        if (session === undefined) throw new Error('no session to resume');
        expect(await visit(server, version, { session })).toMatchObject({
          reused: false,
          decision: 'no-certificate',
        });
        expect(await visit(server, version, { session, ...device })).toMatchObject({
          reused: false,
          decision: 'admitted acme/dev-1',
        });
      }
    }
    expect(seen.size).toBe(2);
  });

  it('names no CA, so that no client withholds its certificate, also after a reload', async () => {
    for (const reload of [false, true]) {
      if (reload) reloadTls(server, identity);
      const { output } = await sClient(server, version);
      expect(output).toContain('No client certificate CA names sent');
    }
  });
});

describe('a device listener', () => {
  it('loads no trust anchors, not those that Node brings either, also after a reload', () => {
    const reloaded: SecureContextOptions[] = [];
    reloadTls({ setSecureContext: (options) => reloaded.push(options) }, identity);
    for (const options of [deviceTlsOptions(identity), ...reloaded]) expect(options.ca).toEqual([]);
    expect(reloaded).toHaveLength(1);
  });

  it('takes a resumed session for no certificate, should some listener resume one', async () => {
    const careless = await listen({
      ...identity,
      ca: pki.trustAnchors,
      requestCert: true,
      rejectUnauthorized: false,
    });
    try {
      for (const version of versions)
        for (const options of [{}, shown(pki.operational('acme', 'dev-1'))]) {
          const { session } = await visit(careless, version, options);
          if (session === undefined) throw new Error('no session to resume');
          const answer = await visit(careless, version, { session });
          expect(answer).toMatchObject({ reused: true, decision: 'no-certificate' });
        }
    } finally {
      await close(careless);
    }
  });

  it('refuses to renegotiate on TLS 1.2, before and after a reload', async () => {
    const server = await listen(deviceTlsOptions(identity));
    try {
      for (const reload of [false, true]) {
        if (reload) reloadTls(server, identity);
        const { output, answers } = await sClient(server, 'TLSv1.2', 'R\n');
        expect(output).toContain('RENEGOTIATING');
        expect(output).toContain('no renegotiation');
        expect(answers).toBe(1);
      }
    } finally {
      await close(server);
    }
  });

  it('speaks nothing below TLS 1.2, and no suite without forward secrecy, also after a reload', async () => {
    const server = await listen(deviceTlsOptions(identity));
    try {
      for (const reload of [false, true]) {
        if (reload) reloadTls(server, identity);
        const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
        await expect(visit(server, 'TLSv1.2', old)).rejects.toMatchObject({
          code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
        });
        await expect(visit(server, 'TLSv1.2', { ciphers: 'AES128-GCM-SHA256' })).rejects.toThrow(/handshake/);
      }
    } finally {
      await close(server);
    }
  });
});

/** `openssl s_client`: sends `input` once the listener has answered, and ends when the connection or its input does. */
async function sClient(server: Server, version: Version, input = 'Q\n') {
  const to = ['-connect', `127.0.0.1:${portOf(server)}`];
  const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
  const child = spawn('openssl', ['s_client', ...to, flag], { timeout: 10_000 });
  let output = '';
  let sent = false;
  const read = (chunk: Buffer) => {
    output += chunk;
    if (sent || !output.includes('"decision"')) return;
    sent = true;
    child.stdin.write(input);
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  await once(child, 'close');
  return { output, answers: output.split('"decision"').length - 1 };
}
