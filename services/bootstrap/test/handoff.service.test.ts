import {
  blockDevices,
  getDevice,
  newEvent,
  OperationError,
  retireDevices,
  type SignetEvent,
} from '@signet/contracts';
import { encodePem } from '@signet/pki';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ACCOUNT, type BootstrapFixture, openBootstrapFixture } from './support/bootstrap-fixture.ts';

let scene: BootstrapFixture;

beforeEach(async () => {
  scene = await openBootstrapFixture();
});
afterEach(() => scene[Symbol.asyncDispose]());

const device = (deviceId: string) =>
  scene.fixture.deps.bus.request(getDevice, { account: ACCOUNT, deviceId });
const selection = (fingerprint: string) => ({
  ...{ account: ACCOUNT, by: 'ada', reason: 'lost' },
  fingerprints: [fingerprint],
});

describe('the way in', () => {
  test('F64: a claimed device gets account, anchors, EST with its grant, broker and gateway', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    const answer = await scene.bootstrap(identity);
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.body).toMatchObject({
      account: ACCOUNT,
      deviceId: 'pump-1',
      trustAnchors: [scene.fixture.pki.root.pem],
      est: { url: 'https://localhost:8443', label: ACCOUNT, username: 'pump-1', grant: 'grant-0' },
      mqtt: { url: 'mqtts://localhost:8883', clientId: 'pump-1' },
      gateway: { url: 'https://localhost:8445' },
    });
    expect(await device('pump-1')).toMatchObject({ state: 'bootstrapped' });
    expect(await scene.fixture.exposition()).toMatch(
      /signet_bootstraps_total\{[^}]*account="acme"[^}]*outcome="handed-over"[^}]*\} 1/,
    );
  });

  test('F60: a bootstrap certificate without end is admitted, and nothing asks for the device’s clock', async () => {
    const { fingerprint, identity } = await scene.make('shelf-1');
    expect(scene.fixture.pki.bootstrap('x').certificate.notAfter).toBe(Date.parse('9999-12-31T23:59:59Z'));
    await scene.claim(fingerprint);
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('asked twice at once it answers twice, and the onboarding is one event (F65)', async () => {
    const { fingerprint, identity } = await scene.make('pump-2');
    await scene.claim(fingerprint);
    const other = await scene.startReplica();
    const answers = await Promise.all([scene.bootstrap(identity), scene.bootstrap(identity, other)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(new Set(answers.map(({ body }) => body.est.grant))).toEqual(new Set(['grant-0', 'grant-1']));
    await scene.fixture.deps.bus.request(retireDevices, selection(fingerprint));
    await scene.events('DEVICE_RETIRED', 1);
    expect(await scene.events('DEVICE_BOOTSTRAPPED', 1)).toHaveLength(1);
  });

  test('F29: a device that is further on comes back for a new grant and keeps its state', async () => {
    const { fingerprint, identity } = await scene.make('pump-3');
    await scene.claim(fingerprint);
    await scene.bootstrap(identity);
    await seen('DEVICE_CONNECTED', 'pump-3');
    await vi.waitFor(async () => expect(await device('pump-3')).toMatchObject({ state: 'active' }));
    const again = await scene.bootstrap(identity);
    expect(again.body.est.grant).toBe('grant-1');
    expect(await device('pump-3')).toMatchObject({ state: 'active' });
  });
});

describe('refusals: each is reported with its code, device, fingerprint, address, and account where it is known', () => {
  const reported = (code: string, more: object) => ({
    ...{ type: 'BOOTSTRAP_REFUSED' },
    data: expect.objectContaining({ code, listener: 'bootstrap', address: '127.0.0.1', count: 1, ...more }),
  });

  test('unclaimed: 202 and when to come again', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    const answer = await scene.bootstrap(identity);
    expect([answer.status, answer.headers['retry-after'], answer.body]).toEqual([
      202,
      '30',
      { state: 'manufactured' },
    ]);
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    expect(event).toMatchObject({ account: ACCOUNT, subject: 'pump-1' });
    expect(event).toMatchObject(reported('unclaimed', { deviceId: 'pump-1', fingerprint }));
  });

  test('F61: blocked before anybody claimed it: neither claim nor handoff', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.fixture.deps.bus.request(blockDevices, selection(fingerprint));
    await expect(scene.claim(fingerprint)).rejects.toMatchObject({
      code: 'blocked',
      message: 'fingerprint: the device is blocked: lost',
    });
    const answer = await scene.bootstrap(identity);
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'blocked', detail: 'this device is not admitted here' });
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    expect(event).toMatchObject(
      reported('blocked', { message: 'state: the device is blocked: lost', fingerprint }),
    );
    expect(event?.account).toBe(ACCOUNT);
    expect(scene.grants).toEqual([]);
  });

  test('retired: refused under the name that its account gave it', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint, { account: 'buyer', deviceId: 'hall-3-pump' });
    await scene.fixture.deps.bus.request(retireDevices, { ...selection(fingerprint), account: 'buyer' });
    const answer = await scene.bootstrap(identity);
    expect([answer.status, answer.body.code]).toEqual([403, 'retired']);
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    expect(event?.account).toBe('buyer');
    expect(event).toMatchObject(reported('retired', { deviceId: 'hall-3-pump', fingerprint }));
  });

  test('unknown: signed by our factory CA, but in no factory log', async () => {
    const stranger = scene.fixture.pki.bootstrap('ghost-1');
    const answer = await scene.bootstrap(stranger);
    expect([answer.status, answer.body.code]).toEqual([403, 'unknown-device']);
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    const { fingerprint } = stranger.certificate;
    expect(event?.account).toBe('signet');
    expect(event).toMatchObject(reported('unknown-device', { deviceId: 'ghost-1', fingerprint }));
  });

  test('F58: an operational certificate opens nothing here', async () => {
    const answer = await scene.bootstrap(scene.fixture.pki.operational(ACCOUNT, 'pump-1'));
    expect([answer.status, answer.body.code]).toEqual([403, 'wrong-purpose']);
  });

  test('no certificate at all: 401', async () => {
    expect(await scene.bootstrap()).toMatchObject({ status: 401, body: { code: 'no-certificate' } });
  });
});

describe('when something is unavailable or comes late', () => {
  test('est-ca away: 503 and Retry-After, nothing has changed, and the device gets in when it is back', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    for (const code of ['unavailable', 'deadline-exceeded']) {
      scene.estCa.failure = new OperationError(code, 'est-ca.create-grant: nobody serves it');
      const answer = await scene.bootstrap(identity);
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('5');
      expect(answer.body.code).toBe('unavailable');
      expect(await device('pump-1')).toMatchObject({ state: 'claimed' });
    }
    scene.estCa.failure = undefined;
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('the store away: devices get 503 and Retry-After, operators a typed answer', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    scene.store.away = true;
    const answer = await scene.bootstrap(identity);
    expect([answer.status, answer.headers['retry-after'], answer.body.code]).toEqual([
      503,
      '5',
      'unavailable',
    ]);
    await expect(scene.claim(fingerprint)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'bootstrap.claim: store or bus does not answer',
    });
    scene.store.away = false;
    await scene.claim(fingerprint);
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('the store away at the start: the service comes up when it is back', async () => {
    const { identity } = await scene.make('pump-1');
    scene.store.away = true;
    const starting = scene.startReplica();
    const early = await Promise.race([starting, new Promise((resolve) => setImmediate(resolve, 'waiting'))]);
    expect(early).toBe('waiting');
    scene.store.away = false;
    expect((await scene.bootstrap(identity, await starting)).status).toBe(202);
  });

  test('an event that comes while the store is unavailable is applied when it is back', async () => {
    const { fingerprint } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    scene.store.away = true;
    await seen('CERT_ISSUED', 'pump-1');
    await expect(device('pump-1')).rejects.toMatchObject({ code: 'unavailable' });
    scene.store.away = false;
    await vi.waitFor(async () => expect(await device('pump-1')).toMatchObject({ state: 'enrolled' }), 5000);
  });

  test('a device that is blocked while its grant is made gets nothing', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    scene.estCa.meanwhile = () => scene.fixture.deps.bus.request(blockDevices, selection(fingerprint));
    const answer = await scene.bootstrap(identity);
    expect([answer.status, answer.body.code]).toEqual([403, 'blocked']);
    expect(JSON.stringify(answer.body)).not.toContain('grant-0');
  });

  test('late and repeated events leave a retired device retired, and those of strangers are ignored', async () => {
    const { fingerprint } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    await scene.fixture.deps.bus.request(retireDevices, {
      account: ACCOUNT,
      deviceIds: ['pump-1'],
      by: 'ada',
      reason: 'old',
    });
    const other = await scene.make('pump-2');
    await scene.claim(other.fingerprint);
    const late = eventOf('CERT_ISSUED', 'pump-1');
    await scene.fixture.deps.bus.publish([late, eventOf('CERT_ISSUED', 'nobody'), late]);
    await seen('CERT_ISSUED', 'pump-2');
    await vi.waitFor(async () => expect(await device('pump-2')).toMatchObject({ state: 'enrolled' }));
    expect(await device('pump-1')).toMatchObject({ state: 'retired' });
  });
});

async function seen(type: 'CERT_ISSUED' | 'DEVICE_CONNECTED', deviceId: string): Promise<void> {
  await scene.fixture.deps.bus.publish([eventOf(type, deviceId)]);
}

function eventOf(type: 'CERT_ISSUED' | 'DEVICE_CONNECTED', deviceId: string): SignetEvent {
  const { certificate } = scene.fixture.pki.operational(ACCOUNT, deviceId);
  const { fingerprint, publicKeyHash, serialNumber, authorityKeyId } = certificate;
  const data = {
    ...{ deviceId, fingerprint, publicKeyHash, serialNumber, issuerKeyId: authorityKeyId, profile: ACCOUNT },
    notBefore: new Date(certificate.notBefore).toISOString(),
    notAfter: new Date(certificate.notAfter).toISOString(),
    publicKey: encodePem('PUBLIC KEY', certificate.spkiDer),
    ...{ sessionId: 's-1', node: 'broker-1', address: '192.0.2.17' },
  };
  return newEvent(type, { account: ACCOUNT, subject: deviceId, data: data as never, time: Date.now() });
}
