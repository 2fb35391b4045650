import {
  getDevice,
  getDeviceConfig,
  getDeviceKeys,
  listCertificates,
  setDeviceConfig,
} from '@signet/contracts';
import { encryptConfigValue } from '@signet/pki';
import { newTestKey, type TestIdentity } from '@signet/pki/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { keyRings } from '../src/collections.ts';
import { ACCOUNT, type GatewayFixture, openGatewayFixture, publicKeyOf } from './support/gateway-fixture.ts';

let scene: GatewayFixture;
let first: TestIdentity;
let second: TestIdentity;
let third: TestIdentity;

beforeEach(async () => {
  scene = await openGatewayFixture();
  [first, second, third] = [operational(), operational(), operational()];
});
afterEach(() => scene[Symbol.asyncDispose]());

function operational(deviceId = 'pump-1'): TestIdentity {
  return scene.fixture.pki.operational(ACCOUNT, deviceId, { privateKey: newTestKey() });
}

const keys = () => scene.bus.request(getDeviceKeys, { account: ACCOUNT, deviceId: 'pump-1' });
const write = (value: string) =>
  scene.bus.request(setDeviceConfig, {
    account: ACCOUNT,
    deviceId: 'pump-1',
    files: [{ name: 'app.toml', value, unencrypted: true, 'on-changed': ['/bin/reload'] }],
    reason: 'test',
    by: 'ada',
  });
const currentIs = (identity: TestIdentity) =>
  vi.waitFor(
    async () => expect((await keys()).current?.publicKeyHash).toBe(identity.certificate.publicKeyHash),
    5000,
  );

describe('config', () => {
  test('204 where there is none; then the files, with the config’s mtime as Date; 304 where nothing is newer', async () => {
    await scene.issued(first);
    await currentIs(first);
    expect((await scene.call(first, { path: '/config' })).status).toBe(204);
    expect(await write('a = 1')).toEqual({ version: 1 });
    const answer = await scene.call(first, { path: '/config' });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      'app.toml': { Value: 'a = 1', OnChanged: ['/bin/reload'], Unencrypted: true },
    });
    const date = String(answer.headers.date);
    expect(date).toMatch(/ GMT$/);
    for (const since of [date, date.replace('GMT', 'UTC')]) {
      const again = await scene.call(first, { path: '/config', headers: { 'If-Modified-Since': since } });
      expect([again.status, again.body]).toEqual([304, '']);
    }
    for (const since of ['Thu, 01 Jan 1970 00:00:00 GMT', 'yesterday']) {
      const again = await scene.call(first, { path: '/config', headers: { 'If-Modified-Since': since } });
      expect(again.status).toBe(200);
    }
  });

  test('a device merges its own files by name, and operators see version and files', async () => {
    await write('a = 1');
    const value = encryptConfigValue(first.certificate.spkiDer, Buffer.from('correct horse'));
    const files = [{ name: 'wifi', value, unencrypted: false }];
    const body = { reason: 'rotation', files, 'public-key': '' };
    expect((await scene.call(first, { path: '/config', body })).status).toBe(201);
    expect(await scene.bus.request(getDeviceConfig, { account: ACCOUNT, deviceId: 'pump-1' })).toMatchObject({
      version: 2,
      files: [{ name: 'app.toml' }, { name: 'wifi', value }],
    });
    const events = await scene.events('DEVICE_CONFIG_CHANGED', 2);
    expect(events.map(({ data }) => [data.version, data.files, data.by])).toEqual([
      [1, ['app.toml'], 'ada'],
      [2, ['wifi'], 'pump-1'],
    ]);
  });

  test('what is no config is a 400 that names the field', async () => {
    const body = { reason: '', files: [{ name: '../shadow', value: '' }] };
    const answer = await scene.call(first, { path: '/config', body });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'invalid-input', field: 'files.0.name' });
  });
});

describe('a device that only polls is seen', () => {
  test('its first request with each certificate is DEVICE_SEEN, and the time of the last is with its keys', async () => {
    await scene.issued(first);
    await currentIs(first);
    expect((await keys()).gatewaySeenAt).toBeUndefined();
    for (const _ of [1, 2]) await scene.call(first, { path: '/config' });
    const { gatewaySeenAt = '' } = await keys();
    expect(Date.parse(gatewaySeenAt)).toBeGreaterThan(0);
    await scene.announce(first, second, 1);
    for (const _ of [1, 2]) await scene.call(second, { path: '/config' });
    const hashes = [first, second].map(({ certificate }) => certificate.publicKeyHash);
    const events = await scene.events('DEVICE_SEEN', 2);
    expect(events.map(({ subject, data }) => [subject, data.publicKeyHash])).toEqual(
      hashes.map((hash) => ['pump-1', hash]),
    );
  });
});

describe('what the clients of FoundriesFactory ask for', () => {
  test('GET /device has uuid, name, owner, factory, group and created-at, as they read them', async () => {
    const record = {
      ...{ deviceId: 'pump-1', account: ACCOUNT, factoryAccount: ACCOUNT, name: 'Pump in hall 3' },
      ...{ fingerprint: '0'.repeat(64), deviceSerialNumber: 'pump-1', state: 'active' as const },
      ...{ certificate: '-----BEGIN CERTIFICATE-----', group: 'hall-3' },
      ...{ manufacturedAt: '2026-01-01T00:00:00.000Z', claimedAt: '2026-01-02T00:00:00.000Z' },
    };
    const bare = JSON.parse((await scene.call(first, { path: '/device' })).body);
    expect(bare).toMatchObject({ uuid: 'pump-1', name: 'pump-1', owner: ACCOUNT, factory: ACCOUNT });
    await using _bootstrap = await scene.bus.serve(getDevice, async () => record);
    const { status, body } = await scene.call(first, { path: '/device' });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      ...{ uuid: 'pump-1', name: 'Pump in hall 3', owner: ACCOUNT, factory: ACCOUNT, group: 'hall-3' },
      'created-at': '2026-01-02T00:00:00.000Z',
      // aktualizr-lite src/api.cc, GetDevice: device_info["Name"]
      Name: 'Pump in hall 3',
    });
  });

  // aktualizr-lite src/liteclient.cc and docker.h; fioconfig internal/app.go: what they send, where we serve nothing
  test.each([
    ['PUT', '/system_info', '{"id":"x"}', 'application/json'],
    ['PUT', '/system_info/network', '{"hostname":', 'application/json'],
    ['PUT', '/system_info/config', '[tls]\nserver = "x"', 'application/toml'],
    ['POST', '/apps-states', '{"apps":{}}', 'application/json'],
    ['POST', '/tests', '{"name":"t"}', 'application/json'],
    ['PUT', '/tests/7', 'x'.repeat(200_000), 'application/json'],
    ['GET', '/repo/1.root.json', undefined, undefined],
    ['GET', '/treehub/config', undefined, undefined],
    ['POST', '/treehub/download-urls', '', 'application/json'],
    ['GET', '/hub-creds/', undefined, undefined],
  ])(
    '%s %s, which is not served, is a 404 in JSON whatever its body is',
    async (method, path, text, type) => {
      const headers = type === undefined ? {} : { 'content-type': type };
      const answer = await scene.call(first, {
        method,
        path,
        headers,
        ...(text === undefined ? {} : { text }),
      });
      expect(answer.status).toBe(404);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(JSON.parse(answer.body)).toMatchObject({ status: 404, code: 'not-found' });
    },
  );

  test('a certificate that is not admitted learns nothing of what is served', async () => {
    const bootstrap = scene.fixture.pki.bootstrap('pump-1');
    expect((await scene.call(bootstrap, { path: '/repo/1.root.json' })).status).toBe(403);
  });
});

describe('rotation', () => {
  test('F31, F35: announced, confirmed, config locked, promoted at first contact, unlocked', async () => {
    await scene.issued(first);
    await currentIs(first);
    await write('a = 1');
    const date = String((await scene.call(first, { path: '/config' })).headers.date);
    expect(await scene.announce(first, second)).toBeUndefined();
    await expect(write('a = 2')).rejects.toMatchObject({
      code: 'rotation-in-progress',
      message: `config: locked by rotation key-${second.certificate.serialNumber} until the device is seen with its new key`,
    });
    const confirmed = await scene.call(first, {
      path: '/device',
      body: { next_pubkey: publicKeyOf(second) },
    });
    expect([confirmed.status, JSON.parse(confirmed.body)]).toEqual([
      200,
      { next_pubkey: publicKeyOf(second) },
    ]);
    expect((await scene.call(first, { path: '/config' })).status).toBe(200);

    expect((await scene.call(second, { path: '/config' })).status).toBe(200);
    await currentIs(second);
    const [change] = await scene.events('DEVICE_PUBKEY_CHANGE', 1);
    expect(change?.data).toMatchObject({
      NewPubKey: publicKeyOf(second),
      OldPubKey: publicKeyOf(first),
      newSerialNumber: second.certificate.serialNumber,
    });
    await scene.events('DEVICE_ROTATION_STARTED', 1);
    await scene.events('DEVICE_ROTATION_COMPLETED', 1);
    expect(await write('a = 2')).toEqual({ version: 2 });
    const reread = { 'If-Modified-Since': new Date(Date.parse(date) - 1000).toUTCString() };
    expect((await scene.call(second, { path: '/config', headers: reread })).status).toBe(200);
  });

  test('two replicas see the next key at the same time: it is promoted once', async () => {
    const other = await scene.startReplica();
    await scene.issued(first);
    await currentIs(first);
    await scene.announce(first, second);
    const answers = await Promise.all([
      scene.call(second, { path: '/device' }),
      scene.call(second, { path: '/device', port: other }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    await scene.announce(second, third, 2);
    await scene.call(third, { path: '/device' });
    expect(await scene.events('DEVICE_PUBKEY_CHANGE', 2)).toHaveLength(2);
  });

  test('the broker’s word of a connection promotes as well', async () => {
    await scene.issued(first);
    await currentIs(first);
    await scene.announce(first, second);
    await scene.connected(second);
    await currentIs(second);
  });

  test('a next key that is revoked before it was seen unlocks the config', async () => {
    await scene.issued(first);
    await currentIs(first);
    await scene.announce(first, second);
    await scene.revoked(second);
    await vi.waitFor(async () => expect((await keys()).next).toBeUndefined());
    expect(await write('a = 1')).toEqual({ version: 1 });
  });

  test('PATCH /device: 409 for a key that was not announced, 400 for what is no key', async () => {
    await scene.issued(first);
    await currentIs(first);
    const unknown = await scene.call(first, { path: '/device', body: { next_pubkey: publicKeyOf(third) } });
    expect(unknown.status).toBe(409);
    expect(JSON.parse(unknown.body)).toMatchObject({ code: 'not-announced', field: 'next_pubkey' });
    for (const next_pubkey of ['no PEM', '']) {
      const broken = await scene.call(first, { path: '/device', body: { next_pubkey } });
      expect(broken.status).toBe(400);
      expect(JSON.parse(broken.body)).toMatchObject({ code: 'invalid-input', field: 'next_pubkey' });
    }
  });

  test('F38: of two announced keys the one that is seen first wins: the other is a third key, refused and reported', async () => {
    await scene.issued(first);
    await currentIs(first);
    await scene.announce(first, second, 1);
    await scene.announce(first, third, 2);
    expect((await scene.call(third, { path: '/config' })).status).toBe(204);
    const answer = await scene.call(second, { path: '/config' });
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body).code).toBe('third-key');
    expect(await scene.announce(second, operational(), 3)).toMatchObject({ code: 'third-key' });
    const [refusal] = await scene.events('DEVICE_REFUSED', 1);
    expect(refusal).toMatchObject({
      account: ACCOUNT,
      subject: 'pump-1',
      source: '/provisioning',
      data: {
        code: 'third-key',
        listener: 'gateway',
        fingerprint: second.certificate.fingerprint,
        address: '127.0.0.1',
      },
    });
  });
});

describe('update events', () => {
  const report = (id: string, step: string, more: object = {}) => ({
    id,
    deviceTime: '1970-01-01T00:00:07Z',
    event: { correlationId: 'certs-1669676316', success: true, targetName: '', version: '12', ...more },
    eventType: { id: step, version: 0 },
  });
  const post = (body: unknown) => scene.call(first, { method: 'POST', path: '/events', body });

  test('F40, F60: each step of a rotation is one event, however often it is sent and whatever the device’s clock says', async () => {
    await scene.issued(first);
    await currentIs(first);
    const started = report('0b0ed9ab-6d2c-4d5e-8b57-9d9f2d0e1a01', 'CertRotationStarted', { success: null });
    const failed = { success: false, details: 'EST: 503' };
    const step = report('0b0ed9ab-6d2c-4d5e-8b57-9d9f2d0e1a02', 'Generate new certificate', failed);
    const other = report('0b0ed9ab-6d2c-4d5e-8b57-9d9f2d0e1a03', 'EcuDownloadStarted', {
      correlationId: 'update-7',
    });
    expect((await post([started])).status).toBe(200);
    expect((await post([started, step, other])).status).toBe(200);
    await scene.announce(first, second);
    await scene.events('DEVICE_ROTATION_STARTED', 1);
    const events = await scene.events('DEVICE_ROTATION_STEP', 2);
    const rotation = { deviceId: 'pump-1', rotationId: 'certs-1669676316' };
    expect(events.map(({ data }) => data)).toEqual([
      { ...rotation, step: 'CertRotationStarted', success: true },
      { ...rotation, step: 'Generate new certificate', success: false, details: 'EST: 503' },
    ]);
  });

  test('what is no list of events is a 400 that names the field', async () => {
    const answer = await post([{ ...report('not a uuid', 'CertRotationStarted') }]);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'invalid-input', field: '0.id' });
  });
});

describe('F29: a device that enrolled anew', () => {
  test('comes before the event of its certificate: told to come again, and is in as soon as the event is there', async () => {
    await scene.issued(first);
    await currentIs(first);
    await scene.revoked(first);
    const early = await scene.call(second, { path: '/device' });
    expect([early.status, early.headers['retry-after']]).toEqual([503, '2']);
    expect(await scene.announce(second, third)).toMatchObject({ code: 'unavailable' });
    await scene.issued(second, 1);
    await currentIs(second);
    expect((await scene.call(second, { path: '/device' })).status).toBe(200);
    expect((await keys()).next).toBeUndefined();
  });

  test('a certificate that is not on record, as after a restore, is refused: the device goes back through bootstrap', async () => {
    await scene.issued(first);
    await currentIs(first);
    await using _estCa = await scene.bus.serve(listCertificates, async () => ({ items: [] }));
    const answer = await scene.call(second, { path: '/config' });
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'unknown-device' });
    const [refusal] = await scene.events('DEVICE_REFUSED', 1);
    expect(refusal?.data).toMatchObject({ code: 'unknown-device', listener: 'gateway' });
    expect((await scene.call(first, { path: '/device' })).status).toBe(200);
  });

  test('a certificate whose event was lost with a restore is learned from its issuer, and its key promoted', async () => {
    await scene.issued(first);
    await currentIs(first);
    const { certificate } = second;
    const { fingerprint, publicKeyHash, serialNumber, authorityKeyId: issuerKeyId = '' } = certificate;
    const record = {
      ...{ account: ACCOUNT, deviceId: 'pump-1', profile: ACCOUNT, certificate: second.cert },
      ...{ fingerprint, publicKeyHash, serialNumber, issuerKeyId },
      notBefore: new Date(certificate.notBefore).toISOString(),
      notAfter: new Date(certificate.notAfter).toISOString(),
    };
    await using _estCa = await scene.bus.serve(listCertificates, async () => ({ items: [record] }));
    expect((await scene.call(second, { path: '/device' })).status).toBe(200);
    await currentIs(second);
    const [change] = await scene.events('DEVICE_PUBKEY_CHANGE', 1);
    expect(change?.data.newSerialNumber).toBe(serialNumber);
  });

  test('that is connected to the broker before that event leaves no config locked behind', async () => {
    await scene.issued(first);
    await currentIs(first);
    await scene.connected(second);
    const rings = await scene.fixture.deps.store.collection(keyRings);
    await vi.waitFor(async () =>
      expect((await rings.get(`${ACCOUNT}/pump-1`))?.early).toBe(second.certificate.publicKeyHash),
    );
    await scene.issued(second, 1);
    await currentIs(second);
    expect(await write('a = 1')).toEqual({ version: 1 });
  });

  test('a device of which nothing was heard at all yet is let in: no other key is at stake', async () => {
    expect((await scene.call(first, { path: '/device' })).status).toBe(200);
  });
});

describe('admission', () => {
  test('F58, F75: a bootstrap certificate, and none at all, open nothing', async () => {
    const bootstrap = await scene.call(scene.fixture.pki.bootstrap('pump-1'), { path: '/config' });
    expect([bootstrap.status, JSON.parse(bootstrap.body).code]).toEqual([403, 'wrong-purpose']);
    expect((await scene.call(undefined, { path: '/config' })).status).toBe(401);
  });

  test('F11: a device reads its own config only, whatever it asks for', async () => {
    await write('secret = 1');
    const other = operational('pump-2');
    const answer = await scene.call(other, { path: '/config?device=pump-1' });
    expect([answer.status, answer.body]).toEqual([204, '']);
  });

  test('the store away: 503 and Retry-After for devices, a typed answer for operators', async () => {
    scene.store.away = true;
    const answer = await scene.call(first, { path: '/config' });
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '5']);
    await expect(write('a = 1')).rejects.toMatchObject({ code: 'unavailable' });
    scene.store.away = false;
    expect((await scene.call(first, { path: '/config' })).status).toBe(204);
  });
});
