import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { denyKey, peerDenyKeys } from './deny-key.ts';
import type { DenyList } from './deny-list.ts';
import { openDenyList } from './replica.ts';
import { SessionIndex } from './session-index.ts';
import { MemoryAuthority } from './testing.ts';

let identity: { key: Buffer; cert: Buffer };

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'race-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', '/O=acme/CN=dev-1', '-days', '2', '-keyout', key, '-out', cert],
    ],
    { stdio: 'ignore' },
  );
  identity = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
});

function factsOf(socket: TLSSocket) {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new Error('no certificate');
  return {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    publicKeyHash: 'b1',
    serialNumber: certificate.serialNumber.toLowerCase(),
    issuerKeyId: 'ca',
    account: 'acme',
    deviceId: 'dev-1',
  };
}

/** A broker as far as the race goes: CONNACK waits for `acknowledge`, and only then is a client registered. */
function broker(deny: DenyList, sessions: SessionIndex) {
  const registered: string[] = [];
  const refused: string[] = [];
  const admitted = Promise.withResolvers<void>();
  const acknowledge = Promise.withResolvers<void>();
  const server = createServer({ ...identity, requestCert: true, rejectUnauthorized: false });
  server.on('secureConnection', (socket) => {
    const facts = factsOf(socket);
    const session = sessions.enter({
      keys: peerDenyKeys(facts),
      notAfter: Date.now() + 60_000,
      end: (reason) => {
        refused.push(reason);
        socket.destroy();
      },
    });
    socket.on('close', () => session.leave());
    socket.on('error', () => undefined);
    const reason = deny.denied(facts);
    if (reason !== undefined) {
      refused.push(reason);
      socket.destroy();
      return;
    }
    admitted.resolve();
    socket.once('data', async () => {
      await acknowledge.promise;
      if (socket.destroyed) return;
      registered.push('dev-1');
      socket.write('CONNACK');
    });
  });
  return { server, registered, refused, admitted: admitted.promise, acknowledge: acknowledge.resolve };
}

describe('the race of a denial with a connection', () => {
  const authority = new MemoryAuthority();
  const device = denyKey({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
  const sessions = new SessionIndex({
    now: Date.now,
    onError: (error) => {
      throw error;
    },
  });
  const deny = openDenyList({
    source: authority,
    sessions,
    staleAfterMs: 30_000,
    now: Date.now,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });

  afterAll(() => deny[Symbol.asyncDispose]());

  async function attempt(between: (on: ReturnType<typeof broker>) => Promise<void>) {
    await deny.whenLoaded();
    const fake = broker(deny, sessions);
    fake.server.listen(0, '127.0.0.1');
    await once(fake.server, 'listening');
    const { port } = fake.server.address() as AddressInfo;
    const client = connect({ port, host: '127.0.0.1', ...identity, rejectUnauthorized: false });
    client.on('error', () => undefined);
    const received: Buffer[] = [];
    client.on('data', (data: Buffer) => received.push(data));
    client.write('CONNECT');
    const closed = once(client, 'close');
    await between(fake);
    fake.acknowledge();
    await closed;
    fake.server.close();
    await once(fake.server, 'close');
    return { received: Buffer.concat(received).toString(), ...fake };
  }

  it('closes a socket that was admitted, but not yet registered by the broker', async () => {
    const { received, registered, refused } = await attempt(async ({ admitted }) => {
      await admitted;
      authority.change({ add: [device] });
    });
    expect(refused).toEqual(['denied']);
    expect(registered).toEqual([]);
    expect(received).toBe('');
    expect(sessions.size).toBe(0);
    authority.change({ lift: [device] });
  });

  it('refuses at the check what was denied during the handshake', async () => {
    const { received, registered, refused } = await attempt(async () => {
      authority.change({ add: [device] });
    });
    expect(refused).toEqual(['deny list: its device is denied']);
    expect(registered).toEqual([]);
    expect(received).toBe('');
    authority.change({ lift: [device] });
  });

  it('closes a socket that was registered already', async () => {
    const { registered, refused } = await attempt(async (fake) => {
      fake.acknowledge();
      await vi.waitFor(() => expect(fake.registered).toEqual(['dev-1']));
      authority.change({ add: [device] });
    });
    expect(refused).toEqual(['denied']);
    expect(registered).toEqual(['dev-1']);
  });
});
