import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { leaf, onboard, openMqttSession, requestHandoff } from '@signet/agent';
import type { Authority, CrlSource, Device } from '@signet/contracts';
import { type DevEnv, startDevEnv, trustAnchors } from '@signet/dev-env';
import { type CrlEntry, createCrl, keySigner, parseCertificatePem } from '@signet/pki';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Manufacturer, manufacturing, told, toldAll } from './manufacturer.ts';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

let env: DevEnv;
let terminal: Terminal;
let trust: string;
let line: ReturnType<typeof manufacturing>;
/** What the PKI of the tests serves as its CRL. */
let served: Buffer;
let crlUrl: string;
let maker: Manufacturer;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv({ env: { SIGNET_OUTWARD_PRIVATE: 'true' } }));
  terminal = stack.use(await Terminal.open(env));
  trust = await trustAnchors(env.operator);
  line = manufacturing(env, terminal, trust);
  maker = await line.manufacturer('maker');
  await line.registered(maker, '--first-contact', 'claimed');
  const server = createServer((_, response) => response.end(served)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => server.closeAllConnections());
  stack.defer(() => void server.close());
  crlUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/factory.crl`;
});
afterAll(() => stack.disposeAsync());

const signet = (...args: string[]) => terminal.signet(...args);
const at = (...path: string[]) => join(terminal.folder, ...path);
const until = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 30_000, interval: 100 });

const openssl = (...args: string[]) =>
  execFileSync('openssl', args, { cwd: terminal.folder, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });

/** `line.pem`: a CA below the root of the account, and `leaf.pem`, which it made for device `pump-1`. */
function offlineCa(): void {
  const sign = (
    name: string,
    subject: string,
    issuer: string,
    extensions: readonly string[],
    ...more: string[]
  ) => {
    writeFileSync(at(`${name}.ext`), extensions.join('\n'));
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
    openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`);
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', issuer, '-days', '30', '-sha256'],
      ...['-extfile', `${name}.ext`, '-out', `${name}.pem`, ...more],
    );
  };
  const keyIds = ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid'];
  const ca = [
    'basicConstraints=critical,CA:TRUE,pathlen:0',
    'keyUsage=critical,keyCertSign,cRLSign',
    ...keyIds,
  ];
  const root = ['-CAkey', 'root.pem', '-passin', 'file:passphrase', '-CAcreateserial'];
  sign('line', '/O=owner/CN=Line 7', 'root.crt.pem', ca, ...root);
  const device = [
    ...['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', ...keyIds],
    ...['extendedKeyUsage=clientAuth', 'subjectAltName=URI:spiffe://signet.local/owner/device/pump-1'],
  ];
  sign(
    'leaf',
    '/O=owner/CN=pump-1',
    'line.pem',
    device,
    '-CAkey',
    'line.key',
    '-set_serial',
    '0x1234567890abcdef',
  );
}

/** A CRL of the CA in `<name>.pem` and `<name>.key`. */
async function crlOf(name: string, number: number, ...serialNumbers: string[]): Promise<Buffer> {
  const [certificate, key] = await Promise.all(
    ['pem', 'key'].map((extension) => readFile(at(`${name}.${extension}`), 'utf8')),
  );
  const now = Date.now();
  const entries = serialNumbers.map((serialNumber): CrlEntry => {
    return { serialNumber, revokedAt: now - 1000, reason: 'keyCompromise' };
  });
  return Buffer.from(
    await createCrl({
      ...{ issuer: parseCertificatePem(certificate ?? ''), signer: keySigner(createPrivateKey(key ?? '')) },
      ...{ number, entries, thisUpdate: now - 1000, nextUpdate: now + 86_400_000 },
    }),
  );
}

const deviceOf = async (fingerprint: string, account = 'acme') => {
  const { items } = await env.operator.get<{ items: Device[] }>(`/v1/accounts/${account}/devices?limit=1000`);
  return items.find((device) => device.fingerprint === fingerprint);
};

const blockedBy = (deviceId: string, reason: string) =>
  env.events.find('DEVICE_BLOCKED', ({ subject, data }) => subject === deviceId && data.reason === reason);

describe('signet crl-sources', () => {
  it('F30: a listed bootstrap certificate blocks the device that it became, with the CRL’s number shown, and cuts its session; unlisted, it is unblocked', async () => {
    const { folder, identity, fingerprint } = await line.device(maker, 'foreign-1');
    await line.until(identity, 'bundle');
    const operational = await onboard(folder, { report: () => {} });
    const handoff = await requestHandoff({
      ...{ url: `https://localhost:${env.ports.bootstrap}`, identity, trust },
    });
    const bundle = handoff.kind === 'bundle' ? handoff.bundle : expect.unreachable();
    await using session = await openMqttSession(bundle, operational);

    served = await crlOf('maker', 1);
    const added = await signet(
      ...['crl-sources', 'add', 'maker', '--issuer', 'maker.pem', '--crl-url', crlUrl],
      ...['--every', '86400', '--when-stale', 'refuse-new'],
    );
    expect(added).toMatchObject({ code: 0, out: 'maker follows "maker CA"\n' });
    await until(async () => {
      const { parts } = told<CrlSource>(await signet('crl-sources', 'show', 'maker', '--json'));
      expect(parts).toMatchObject([{ number: '1', entries: 0 }]);
    });
    served = await crlOf('maker', 118, leaf(identity).serialNumber);
    expect((await signet('crl-sources', 'fetch', 'maker')).out).toMatch(/ 118 +│ 1 /);
    await session.ended;
    const reason = 'CRL 118 of "maker": keyCompromise';
    await blockedBy('foreign-1', reason);
    expect(await deviceOf(fingerprint)).toMatchObject({ state: 'blocked', reason });
    expect((await signet('devices', 'show', 'foreign-1')).out).toContain(`blocked (${reason})`);
    await expect(openMqttSession(bundle, operational)).rejects.toMatchObject({ code: 'refused' });
    expect((await signet('crl-sources', 'list')).out).toMatch(/ maker +│ maker CA +│ 1 +│ 1 +│ 0 /);

    await writeFile(at('corrected.crl'), await crlOf('maker', 119));
    expect((await signet('crl-sources', 'upload', 'maker', 'corrected.crl')).err).toBe('');
    expect((await deviceOf(fingerprint))?.state).not.toBe('blocked');
    await until(async () => {
      await using again = await openMqttSession(bundle, operational);
      expect(again.ended).toBeDefined();
    });

    // served before the change, which makes the source due: an older list would be a fault of it
    served = await crlOf('maker', 120, leaf(identity).serialNumber);
    const asked = ['--when-stale', 'go-on', '--every', '600'];
    expect((await signet('crl-sources', 'change', 'maker', ...asked)).out).toMatch(/when stale +go-on/);
    expect(await signet('crl-sources', 'fetch', 'maker')).toMatchObject({ code: 0 });
    expect(await deviceOf(fingerprint)).toMatchObject({ state: 'blocked' });
    expect((await signet('crl-sources', 'remove', 'maker')).out).toBe('maker is removed\n');
    expect((await deviceOf(fingerprint))?.state).not.toBe('blocked');
    expect((await signet('denylist', 'search', 'CRL 120')).out).not.toContain('keyCompromise');
  });

  it('F30 F48: a listed operational certificate that was made offline blocks the device that holds it', async () => {
    await writeFile(at('passphrase'), 'a passphrase of some length\n');
    const account = ['--account', 'owner'];
    const rootKey = ['--root-key', 'root.pem', '--root-passphrase-file', 'passphrase'];
    toldAll(await signet(...account, 'ca', 'create', ...rootKey, '--json'));
    offlineCa();
    const kind = ['--kind', 'issuing'];
    told(
      await signet(...account, 'ca', 'add', 'line.pem', ...kind, '--key', 'line.key', ...rootKey, '--json'),
    );
    const made = told<{ fingerprint: string }>(
      await signet(...account, 'factory', 'sign', '--new', 'pump-1', '--json'),
    );
    expect((await signet(...account, 'devices', 'claim', made.fingerprint)).code).toBe(0);
    const [cert, key] = await Promise.all([readFile(at('leaf.pem')), readFile(at('leaf.key'))]);
    const connect = () =>
      connectAsync(`mqtts://localhost:${env.ports.mqtt}`, {
        ...{ cert, key, ca: trust, clientId: 'pump-1', reconnectPeriod: 0 },
      });
    // until the listener has heard of the CA
    const client = await vi.waitFor(connect, { timeout: 20_000, interval: 200 });
    const closed = new Promise<void>((resolve) => void client.once('close', resolve));
    await env.events.find('DEVICE_CONNECTED', ({ subject }) => subject === 'pump-1');
    expect((await signet(...account, 'crl-sources', 'add', 'line', '--issuer', 'line.pem')).code).toBe(0);
    await writeFile(at('line.crl'), await crlOf('line', 7, '1234567890abcdef'));
    expect((await signet(...account, 'crl-sources', 'upload', 'line', 'line.crl')).err).toBe('');
    await closed;
    const reason = 'CRL 7 of "line": keyCompromise';
    await blockedBy('pump-1', reason);
    await until(async () =>
      expect(await deviceOf(made.fingerprint, 'owner')).toMatchObject({ state: 'blocked', reason }),
    );
    await writeFile(at('line.crl'), await crlOf('line', 8));
    expect((await signet(...account, 'crl-sources', 'upload', 'line', 'line.crl')).err).toBe('');
    expect((await deviceOf(made.fingerprint, 'owner'))?.state).not.toBe('blocked');
    const again = await vi.waitFor(connect, { timeout: 20_000, interval: 200 });
    await again.endAsync();
  });

  it('F30: a device that is retired is in our own CRL, as openssl reads it', async () => {
    const { folder, identity } = await line.device(maker, 'retired-1');
    await line.until(identity, 'bundle');
    const operational = await onboard(folder, { report: () => {} });
    const { serialNumber, authorityKeyId } = leaf(operational);
    expect((await signet('devices', 'revoke', 'retired-1', '--reason', 'scrapped')).code).toBe(0);
    const { authorities } = await env.operator.get<{ authorities: Authority[] }>('/v1/authorities');
    const issuer = authorities.find(({ subjectKeyId }) => subjectKeyId === authorityKeyId);
    await writeFile(at('issuer.pem'), issuer?.certificate ?? '');
    await until(async () => {
      const answer = await fetch(`http://localhost:${env.ports.http}/crl/${issuer?.authorityId}.crl`);
      await writeFile(at('own.crl'), Buffer.from(await answer.arrayBuffer()));
      const text = openssl('crl', '-inform', 'DER', '-in', 'own.crl', '-noout', '-text');
      expect(text.toLowerCase()).toContain(`serial number: ${serialNumber}`);
      expect(text).toContain('Cessation Of Operation');
    });
    openssl('crl', '-inform', 'DER', '-in', 'own.crl', '-noout', '-verify', '-CAfile', 'issuer.pem');
  });

  it('says what is wrong with what it was told, by the field', async () => {
    const [issuer, key] = await Promise.all(
      ['maker.pem', 'maker.key'].map((file) => readFile(at(file), 'utf8')),
    );
    await line.manufacturer('stranger');
    const tried = await signet('crl-sources', 'add', 'x', '--issuer', 'stranger.pem');
    expect([tried.code, tried.err]).toEqual([
      1,
      'signet: foreign-issuer: issuer: account "acme" has no CA with this key\n',
    ]);
    const path = '/v1/accounts/acme/crl-sources';
    const good = { name: 'fields', issuer };
    for (const [field, wrong] of [
      ['name', { ...good, name: 'Maker_1' }],
      ['issuer', { ...good, issuer: key }],
      ['issuer', { ...good, issuer: 'maker' }],
      ['urls.0', { ...good, urls: ['maker.crl'] }],
      ['everySeconds', { ...good, everySeconds: 1 }],
      ['whenStale', { ...good, whenStale: 'panic' }],
    ] as const) {
      const { status, body } = await env.operator.call('POST', path, wrong);
      expect([status, (body as { detail?: string }).detail]).toEqual([
        expect.toBeOneOf([400, 422]),
        expect.stringContaining(`${field}: `),
      ]);
    }
    const unknown = await env.operator.call('PUT', `${path}/nobody`, { whenStale: 'alarm' });
    expect(unknown).toMatchObject({ status: 404, body: { code: 'unknown-crl-source' } });
    expect((await env.operator.call('POST', path, good)).status).toBe(201);
    expect(await env.operator.call('POST', path, good)).toMatchObject({
      status: 409,
      body: { code: 'crl-source-exists' },
    });
    await writeFile(at('junk.crl'), '<html>');
    expect((await signet('crl-sources', 'upload', 'fields', 'junk.crl')).err).toMatch(
      /^signet: crl-refused: malformed: /,
    );
    const wrong = await env.operator.call('PUT', `${path}/fields`, { everySeconds: 0 });
    expect(wrong).toMatchObject({ status: 400, body: { field: 'everySeconds' } });
    const other = await env.operator.call('GET', '/v1/accounts/globex/crl-sources/fields');
    expect(other).toMatchObject({ status: 404, body: { code: 'unknown-crl-source' } });
  });
});
