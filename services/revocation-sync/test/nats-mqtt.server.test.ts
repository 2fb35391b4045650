import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { createAccount } from '@nats-io/nkeys';
import { denyTargets, listAuthorities } from '@signet/contracts';
import { createTestPki, type TestIdentity } from '@signet/pki/testing';
import { startMetrics } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { freePort, startNats } from '@signet/tests/servers/start';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openTestFixture } from './authority.ts';

const natsServer = requireServer('nats-server');

const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 100 });

const text = (value: string) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
};
const packet = (type: number, ...parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([type, body.length]), body]);
};
const connectPacket = (clientId: string) =>
  packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 60]), text(clientId));
const subscribePacket = (topic: string) => packet(0x82, Buffer.from([0, 1]), text(topic), Buffer.from([0]));

describe.skipIf(natsServer === '')('the MQTT listener of NATS under our authority', () => {
  it('F88: admits by our certificates and deny list, to their own topics, ends who is denied, and forgets sessions that end', async () => {
    const pki = createTestPki();
    const folder = await mkdtemp(join(tmpdir(), 'nats-mqtt-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const server = pki.serverIdentity();
    const file = async (name: string, content: string) => {
      await writeFile(join(folder, name), content);
      return JSON.stringify(join(folder, name));
    };
    const issuer = createAccount();
    const mqttPort = await freePort();
    const config = join(folder, 'nats.conf');
    await writeFile(
      config,
      `server_name: one
accounts {
  AUTH { users: [{ user: auth, password: secret }] }
  DEVICES { jetstream: enabled }
  SYS { users: [{ user: sys, password: secret }] }
}
system_account: SYS
authorization {
  auth_callout { issuer: ${issuer.getPublicKey()}, account: AUTH, auth_users: [auth, sys] }
}
mqtt {
  host: 127.0.0.1
  port: ${mqttPort}
  tls {
    cert_file: ${await file('server.pem', server.cert)}
    key_file: ${await file('server.key', server.key)}
    ca_file: ${await file('ca.pem', pki.authorities.map(({ pem }) => pem).join(''))}
    verify: true
  }
}
`,
    );
    const nats = stack.use(await startNats(natsServer, { config }));
    const fixture = stack.use(await openTestFixture());
    fixture.clock.now = Date.now();
    stack.use(
      await fixture.bus.serve(listAuthorities, async () => ({
        authorities: pki.authorities.map(({ certificate, kind, account, state, pem }) => ({
          ...{ authorityId: `${kind}-${account}`, kind, account, state, certificate: pem },
          subjectKeyId: certificate.subjectKeyId ?? '',
          notAfter: '2040-01-01T00:00:00Z',
        })),
      })),
    );
    const { host } = new URL(nats.url);
    const measured = startMetrics();
    const sessions = async () => /^signet_sessions\S* (\d+)/m.exec(await measured.exposition())?.[1];
    await fixture.start(
      { metrics: measured.metrics },
      {
        SIGNET_DATA_DIR: folder,
        SIGNET_NATS_CALLOUT_URL: `nats://auth:secret@${host}`,
        SIGNET_NATS_CALLOUT_SYSTEM_URL: `nats://sys:secret@${host}`,
        SIGNET_NATS_CALLOUT_SEED: new TextDecoder().decode(issuer.getSeed()),
      },
    );
    const open = async ({ cert, key }: TestIdentity, clientId: string): Promise<TLSSocket | undefined> => {
      const socket = connect({
        ...{ port: mqttPort, host: '127.0.0.1', ca: pki.trustAnchors, cert, key },
        rejectUnauthorized: false,
      });
      socket.on('error', () => {});
      stack.defer(() => void socket.destroy());
      const closed = once(socket, 'close').then(() => undefined);
      socket.once('secureConnect', () => socket.write(connectPacket(clientId)));
      const answer = await Promise.race([once(socket, 'data'), closed]);
      const [connack] = (answer ?? []) as [Buffer?];
      return connack?.toString('hex') === '20020000' ? socket : undefined;
    };
    const device = pki.operational('acme', 'dev-1');
    let session: TLSSocket | undefined;
    await until(async () => {
      session = await open(device, 'acme.dev-1');
      expect(session).toBeDefined();
    });
    if (session === undefined) throw new Error('no session');

    session.write(subscribePacket('d/acme/dev-1/down/x'));
    const [own] = (await once(session, 'data')) as [Buffer];
    expect(own.toString('hex')).toBe('9003000100');
    session.write(subscribePacket('d/acme/dev-2/down/x'));
    const [foreign] = (await once(session, 'data')) as [Buffer];
    expect(foreign.toString('hex')).toBe('9003000180');

    expect(await open(pki.operational('acme', 'dev-2'), 'acme.dev-1')).toBeUndefined();
    expect(await open(pki.bootstrap('dev-3'), 'acme.dev-3')).toBeUndefined();

    const ended = once(session, 'close');
    await fixture.bus.request(denyTargets, {
      ...{ account: 'acme', reason: 'stolen', by: 'ada' },
      targets: [{ kind: 'device', account: 'acme', deviceId: 'dev-1' }],
    });
    await ended;
    expect(await open(device, 'acme.dev-1')).toBeUndefined();
    const other = await open(pki.operational('acme', 'dev-2'), 'acme.dev-2');
    expect(other).toBeDefined();
    expect(await sessions()).toBe('1');
    // a session that ends by itself is forgotten, long before its time is over
    other?.end(Buffer.from([0xe0, 0]));
    await until(async () => expect(await sessions()).toBe('0'));
  });
});
