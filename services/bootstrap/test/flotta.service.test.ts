import {
  approveRegistration,
  blockDevices,
  declineRegistration,
  getDevice,
  listRegistrations,
  OperationError,
  resetDevices,
  retireDevices,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT } from './support/bootstrap-fixture.ts';
import { flotta } from './support/flotta-schema.ts';
import { FlottaWorker, hardware } from './support/flotta-worker.ts';
import {
  type Identity,
  openRegistrationFixture,
  type RegistrationFixture,
  requestFor,
} from './support/registration-fixture.ts';

let fixture: RegistrationFixture;
let certificate: Identity;
beforeAll(async () => {
  fixture = await openRegistrationFixture();
  certificate = await fixture.registrationCertificate();
});
afterAll(() => fixture[Symbol.asyncDispose]());

const bus = () => fixture.base.fixture.deps.bus;
const pki = () => fixture.base.fixture.pki;
const worker = (deviceId: string, namespace?: string) =>
  new FlottaWorker(fixture, deviceId, certificate, namespace);
const requestOf = async (deviceId: string) => {
  const { items } = await bus().request(listRegistrations, { account: ACCOUNT, limit: 1000 });
  return items.find((item) => item.deviceId === deviceId);
};
const approve = async (deviceId: string) => {
  const requestId = (await requestOf(deviceId))?.requestId ?? '';
  return bus().request(approveRegistration, { account: ACCOUNT, requestId, by: 'ada' });
};
const registered = async (deviceId: string, namespace?: string) => {
  const device = worker(deviceId, namespace);
  await device.registerOnce();
  await approve(deviceId);
  expect(await device.registerOnce()).toEqual([208, 200]);
  return device;
};
const own = (deviceId: string, changes = {}): Identity => pki().operational(ACCOUNT, deviceId, changes);
const withCertificate = (deviceId: string, identity: Identity) =>
  new FlottaWorker(fixture, deviceId, identity);
const stateOf = async (deviceId: string) =>
  (await bus().request(getDevice, { account: ACCOUNT, deviceId })).state;
const past = { notBefore: Date.now() - 10 * 86_400_000, notAfter: Date.now() - 86_400_000 };

describe('Flotta’s worker', () => {
  it('F4: enrols, waits for approval, gets its certificate without being touched, sends heartbeats', async () => {
    const device = worker('edge-1', 'hall-3');
    expect(await device.registerOnce()).toEqual([200]);
    expect(await device.registerOnce()).toEqual([200]);
    expect(await requestOf('edge-1')).toMatchObject({
      protocol: 'flotta',
      state: 'waiting',
      group: 'hall-3',
      details: { hostname: 'edge-7', model: 'Edge 200', manufacturer: 'ACME', serial: 'SN-7' },
    });
    await approve('edge-1');
    expect(await device.registerOnce()).toEqual([208, 200]);
    expect(device.isNew).toBe(false);
    const { subject } = parseCertificatePem(device.identity.cert);
    expect(subject).toEqual({
      commonName: 'edge-1',
      organization: ACCOUNT,
      organizationalUnit: 'hall-3',
    });
    expect(await device.heartbeat()).toMatchObject({ status: 200 });
    expect(await stateOf('edge-1')).toBe('active');
    expect(await device.poll('control')).toMatchObject({ status: 200, body: undefined });
    expect(await device.poll('data')).toMatchObject({
      body: {
        ...{ type: 'data', version: 1, directive: 'device' },
        content: { device_id: 'edge-1', configuration: { heartbeat: { period_seconds: 60 } } },
      },
    });
    const pong = { type: 'event', message_id: '1', response_to: '', version: 1, content: 'pong' };
    expect(await device.post('control/edge-1/out', pong)).toMatchObject({ status: 200 });
    // a client that names JSON with every request, and has nothing to say
    expect(await device.post('control/edge-1/out', '')).toMatchObject({ status: 200 });
  });

  it('F4: gets every member of Flotta’s own schema that its programs read, so that the worker does not crash', async () => {
    const device = await registered('edge-schema');
    const { body: data } = await device.poll('data');
    flotta.message.parse(data);
    flotta['device-configuration-message'].parse(data.content);
    const csr = requestFor('edge-schema', generateKeyPair('P-256'));
    const { body: given } = await device.send('registration', { certificate_request: csr, hardware });
    flotta['message-response'].parse(given);
    flotta['registration-response'].parse(given.content);
    const gone = { account: ACCOUNT, by: 'ada', reason: 'scrapped', deviceIds: ['edge-schema'] };
    await bus().request(retireDevices, gone);
    flotta.message.parse((await device.poll('control')).body);
  });

  it('F4: a refusal on “…/in” has no body, which the client would take as a message', async () => {
    const newcomer = worker('edge-1');
    const other = withCertificate('edge-1', own('edge-12'));
    const expired = withCertificate('edge-6', own('edge-6', past));
    const nobody = withCertificate('edge-6', pki().defective('forged-expired', ACCOUNT, 'edge-6'));
    for (const [device, status] of [
      [newcomer, 403],
      [other, 403],
      [expired, 401],
      [nobody, 403],
    ] as const)
      for (const channel of ['data', 'control'] as const) {
        const answer = await device.poll(channel);
        expect(answer).toMatchObject({ status, body: undefined });
        expect(answer.headers['content-type']).toBeUndefined();
      }
  });

  it('F4: no certificate before: 404, and a bad CSR is no way around', async () => {
    const device = worker('edge-2');
    expect(await device.send('registration', { certificate_request: 'nonsense' })).toMatchObject({
      status: 404,
    });
    await device.registerOnce();
    const csr = requestFor('edge-2', generateKeyPair('P-256'));
    expect(await device.send('registration', { certificate_request: csr, hardware })).toMatchObject({
      status: 404,
      body: { code: 'not-approved' },
    });
  });

  it('F4: is told that it was declined', async () => {
    const device = worker('edge-3');
    await device.registerOnce();
    const requestId = (await requestOf('edge-3'))?.requestId ?? '';
    await bus().request(declineRegistration, { account: ACCOUNT, requestId, reason: 'scrap', by: 'ada' });
    expect(await device.registerOnce()).toEqual([403]);
  });

  it('retired while its certificate is made, it does not get it, and it is revoked', async () => {
    const device = worker('edge-out');
    await device.registerOnce();
    await approve('edge-out');
    fixture.certifying.meanwhile = async () => {
      fixture.certifying.meanwhile = undefined;
      const lost = { account: ACCOUNT, by: 'ada', reason: 'lost', deviceIds: ['edge-out'] };
      expect((await bus().request(retireDevices, lost)).changed).toHaveLength(1);
    };
    expect((await device.registerOnce()).at(-1)).toBeGreaterThanOrEqual(400);
    expect(fixture.revoked).toContain(fixture.certified.at(-1)?.serialNumber);
  });

  it('gets in after an answer that was lost, though it makes a new key for every attempt', async () => {
    const device = await registered('edge-4');
    const first = fixture.certified.find(({ deviceId }) => deviceId === 'edge-4')?.serialNumber;
    device.identity = certificate;
    expect(await device.registerOnce()).toEqual([208, 200]);
    expect(fixture.revoked).toContain(first);
    expect(await device.heartbeat()).toMatchObject({ status: 200 });
  });

  it('F1: once it was seen with its certificate, the registration certificate is refused for it', async () => {
    const device = await registered('edge-5');
    await device.heartbeat();
    const thief = worker('edge-5');
    expect(await thief.registerOnce()).toEqual([409]);
    const csr = requestFor('edge-5', generateKeyPair('P-256'));
    expect(await thief.send('registration', { certificate_request: csr })).toMatchObject({
      status: 409,
      body: { code: 'device-id-taken' },
    });
  });

  it.each([
    ['asks for its configuration', (device: FlottaWorker) => device.poll('data')],
    ['asks for commands', (device: FlottaWorker) => device.poll('control')],
    ['answers a command', (device: FlottaWorker) => device.post(`control/${device.deviceId}/out`, {})],
    ['enrols again', (device: FlottaWorker) => device.send('enrolment', { features: {} })],
    ['renews', (device: FlottaWorker) => device.registerOnce()],
    [
      'came to the gateway',
      async ({ deviceId }: FlottaWorker) => {
        const { publicKeyHash = '' } = (await requestOf(deviceId)) ?? {};
        fixture.seenKeys.set(`${ACCOUNT}/${deviceId}`, publicKeyHash);
      },
    ],
  ])(
    'a device that %s was seen: the certificate of its image does not take its place',
    async (what, does) => {
      const id = `seen-${what.replaceAll(' ', '-')}`;
      const device = await registered(id);
      await does(device);
      const thief = worker(id);
      const csr = requestFor(id, generateKeyPair('P-256'));
      expect(await thief.send('registration', { certificate_request: csr })).toMatchObject({
        status: 409,
        body: { code: 'device-id-taken' },
      });
      const serials = fixture.certified.filter(({ deviceId }) => deviceId === id);
      for (const { serialNumber } of serials) expect(fixture.revoked).not.toContain(serialNumber);
    },
  );

  it('a device that is reset is asked for again: nobody gets its certificate before an operator approves it anew', async () => {
    const device = await registered('edge-50');
    await device.heartbeat();
    const given = () => fixture.certified.filter(({ deviceId }) => deviceId === 'edge-50').length;
    const before = given();
    await bus().request(resetDevices, { account: ACCOUNT, deviceIds: ['edge-50'], by: 'ada' });
    const thief = worker('edge-50');
    const csr = requestFor('edge-50', generateKeyPair('P-256'));
    expect(await thief.send('registration', { certificate_request: csr })).toMatchObject({ status: 404 });
    expect(await thief.registerOnce()).toEqual([200]);
    expect(await thief.send('registration', { certificate_request: csr })).toMatchObject({ status: 404 });
    expect(given()).toBe(before);
    expect(await requestOf('edge-50')).toMatchObject({ state: 'waiting' });

    await approve('edge-50');
    device.identity = certificate;
    expect(await device.registerOnce()).toEqual([208, 200]);
    expect(given()).toBe(before + 1);
    expect(await device.heartbeat()).toMatchObject({ status: 200 });
    expect(await stateOf('edge-50')).toBe('active');
    expect(await worker('edge-50').registerOnce()).toEqual([409]);
  });

  it('a device that is reset fits below the limit of its certificate, which it counts for already', async () => {
    const one = await fixture.registrationCertificate({ limit: 1 });
    const device = new FlottaWorker(fixture, 'edge-51', one);
    await device.registerOnce();
    await approve('edge-51');
    expect(await device.registerOnce()).toEqual([208, 200]);
    await device.heartbeat();
    await bus().request(resetDevices, { account: ACCOUNT, deviceIds: ['edge-51'], by: 'ada' });
    device.identity = one;
    expect(await device.registerOnce()).toEqual([200]);
    await new FlottaWorker(fixture, 'edge-52', one).registerOnce();
    await expect(approve('edge-52')).rejects.toMatchObject({ code: 'limit-reached' });
    await approve('edge-51');
    expect(await device.registerOnce()).toEqual([208, 200]);
  });

  it('F1: the registration certificate sends no heartbeat and polls nothing', async () => {
    const device = worker('edge-1');
    expect(await device.heartbeat()).toMatchObject({ status: 403, body: { code: 'wrong-purpose' } });
    for (const channel of ['data', 'control'] as const)
      expect(await device.poll(channel)).toMatchObject({ status: 403, body: undefined });
    expect(await device.post('control/edge-1/out', {})).toMatchObject({ status: 403 });
  });

  it('F9: renews with its own certificate, also an expired one, which does nothing else', async () => {
    const device = await registered('edge-6');
    await device.heartbeat();
    expect(await device.registerOnce()).toEqual([208, 200]);
    expect(fixture.renewed.at(-1)).toMatchObject({ account: ACCOUNT, deviceId: 'edge-6' });

    const expired = withCertificate('edge-6', own('edge-6', past));
    expect(await expired.heartbeat()).toMatchObject({ status: 401, body: { code: 'expired' } });
    for (const channel of ['control', 'data'] as const)
      expect(await expired.poll(channel)).toMatchObject({ status: 401 });
    const csr = requestFor('edge-6', generateKeyPair('P-256'));
    expect(await expired.send('registration', { certificate_request: csr })).toMatchObject({ status: 200 });
    expect(fixture.renewed.at(-1)?.fingerprint).toBe(parseCertificatePem(expired.identity.cert).fingerprint);

    fixture.renewal.failure = new OperationError('refused', 'expired: too old');
    expect(await expired.send('registration', { certificate_request: csr })).toMatchObject({ status: 403 });
    fixture.renewal.failure = undefined;
  });

  it('F9: a forged expired certificate, and an expired registration certificate, do nothing', async () => {
    const forged = withCertificate('edge-6', pki().defective('forged-expired', ACCOUNT, 'edge-6'));
    const csr = requestFor('edge-6', generateKeyPair('P-256'));
    expect(await forged.send('registration', { certificate_request: csr })).toMatchObject({
      status: 403,
      body: { code: 'bad-signature' },
    });
    const over = new FlottaWorker(fixture, 'edge-9', pki().registration(ACCOUNT, past));
    expect(await over.registerOnce()).toEqual([403]);
  });

  it('is told to disconnect once it was removed, also when its certificate is denied; blocked, it is not', async () => {
    const device = await registered('edge-10');
    await device.heartbeat();
    const selection = { account: ACCOUNT, deviceIds: ['edge-10'], by: 'ada' };
    await bus().request(blockDevices, { ...selection, reason: 'stolen' });
    expect(await device.poll('control')).toMatchObject({ status: 200, body: undefined });
    expect(await device.heartbeat()).toMatchObject({ status: 403, body: { code: 'blocked' } });
    await bus().request(retireDevices, { ...selection, reason: 'scrapped' });
    const disconnect = {
      status: 200,
      body: { type: 'command', version: 1, content: { command: 'disconnect', arguments: {} } },
    };
    expect(await device.poll('control')).toMatchObject(disconnect);
    await fixture.base.fixture.deny({ kind: 'device', account: ACCOUNT, deviceId: 'edge-10' });
    await expect.poll(async () => (await device.heartbeat()).body?.code).toBe('denied');
    expect(await device.poll('control')).toMatchObject(disconnect);
    expect(await device.poll('control', 'edge-1')).toMatchObject({ status: 403, body: undefined });
    expect(await device.poll('data')).toMatchObject({ status: 403, body: undefined });
  });

  it('a denied certificate of a device that was not removed gets no answer of its own', async () => {
    const device = await registered('edge-11');
    await fixture.base.fixture.deny({ kind: 'device', account: ACCOUNT, deviceId: 'edge-11' });
    await expect.poll(async () => (await device.poll('control')).status).toBe(403);
  });
});

describe('who a caller is, its leaf alone says', () => {
  it('F66: a device speaks for no other, whatever the path, the CSR or the message says', async () => {
    const device = withCertificate('edge-1', own('edge-12'));
    const csr = requestFor('edge-1', generateKeyPair('P-256'));
    for (const answer of [
      await device.heartbeat(),
      await device.send('enrolment', { features: {} }),
      await device.send('registration', { certificate_request: csr }),
    ])
      expect(answer).toMatchObject({ status: 403, body: { code: 'bad-identity' } });
    for (const channel of ['control', 'data'] as const)
      expect(await device.poll(channel)).toMatchObject({ status: 403, body: undefined });
  });

  it('F66: a device of another account is another device', async () => {
    const rival = withCertificate('edge-1', pki().operational('rival', 'edge-1'));
    expect(await rival.heartbeat()).toMatchObject({ status: 403, body: { code: 'bad-identity' } });
  });

  it('F66: target_namespace names a group, never another account', async () => {
    const device = await registered('edge-13', 'rival');
    const made = await bus().request(getDevice, { account: ACCOUNT, deviceId: 'edge-13' });
    expect(made).toMatchObject({ account: ACCOUNT, group: 'rival' });
    expect(parseCertificatePem(device.identity.cert).subject.organization).toBe(ACCOUNT);
  });

  it('certificates sent beside the leaf prove nothing', async () => {
    const { cert, key } = own('edge-1', { signedBy: pki().authority({ kind: 'issuing' }) });
    const genuine = pki().operational(ACCOUNT, 'edge-1');
    const chained = withCertificate('edge-1', { cert: cert + genuine.cert + pki().issuing.pem, key });
    expect(await chained.heartbeat()).toMatchObject({ status: 403, body: { code: 'unknown-issuer' } });
  });
});

describe('what a device sends that is wrong', () => {
  const registration = (csr: string) => ({ certificate_request: csr, hardware });

  it('F3: a CSR that its key did not sign, or with a weak key, is a 400', async () => {
    const device = worker('edge-20');
    await device.registerOnce();
    await approve('edge-20');
    const der = createCsr({ subject: { commonName: 'edge-20' }, ...generateKeyPair('P-256') });
    der[der.length - 8] = (der[der.length - 8] ?? 0) ^ 1;
    const broken = encodePem('CERTIFICATE REQUEST', der);
    expect(await device.send('registration', registration(broken))).toMatchObject({
      status: 400,
      body: { code: 'bad-csr-signature' },
    });
    const { generateKeyPairSync } = await import('node:crypto');
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    expect(await device.send('registration', registration(requestFor('edge-20', weak)))).toMatchObject({
      status: 400,
      body: { code: 'weak-key' },
    });
    const other = requestFor('edge-21', generateKeyPair('P-256'));
    expect(await device.send('registration', registration(other))).toMatchObject({
      status: 400,
      body: { code: 'wrong-subject' },
    });
    expect(await device.send('registration', registration('-----BEGIN X-----'))).toMatchObject({
      status: 400,
      body: { code: 'malformed-request' },
    });
    expect(await device.registerOnce()).toEqual([208, 200]);
  });

  it.each([
    ['another version', { version: 2 }],
    ['another type', { type: 'command' }],
    ['no message id', { message_id: '' }],
    ['a directive that there is not', { directive: 'ansible' }],
    ['a time that is none', { sent: 'yesterday' }],
    ['content that is not an object', { content: 'all' }],
    ['metadata that is not text', { metadata: { a: 1 } }],
    ['a namespace that is none', { content: { target_namespace: '../etc' } }],
    ['no content', { content: undefined, directive: 'registration' }],
  ])('%s is a 400', async (_name, more) => {
    expect(await worker('edge-30').send('enrolment', {}, more)).toMatchObject({ status: 400 });
    expect(await requestOf('edge-30')).toBeUndefined();
  });

  it('JSON that is none, a body too large, an id that is none', async () => {
    const device = worker('edge-31');
    expect(await device.post('data/edge-31/out', '{"type":')).toMatchObject({ status: 400 });
    const large = { features: { hardware: { ...hardware, hostname: 'x'.repeat(70_000) } } };
    expect(await device.send('enrolment', large)).toMatchObject({ status: 413 });
    expect(await device.post('data/a%2fb/out', {})).toMatchObject({ status: 400 });
    expect(await device.post(`data/${'x'.repeat(65)}/out`, {})).toMatchObject({ status: 400 });
  });

  it('F66: a message replayed changes nothing, and is refused from another device', async () => {
    const device = worker('edge-32');
    const message = { message_id: 'one-and-the-same' };
    for (let i = 0; i < 3; i++)
      expect(await device.send('enrolment', { features: { hardware } }, message)).toMatchObject({
        status: 200,
      });
    const { items } = await bus().request(listRegistrations, { account: ACCOUNT, limit: 1000 });
    expect(items.filter(({ deviceId }) => deviceId === 'edge-32')).toHaveLength(1);
    const other = withCertificate('edge-32', own('edge-33'));
    expect(await other.send('enrolment', { features: { hardware } }, message)).toMatchObject({ status: 403 });
  });

  it('two that register with one id at once end with one certificate in force', async () => {
    const first = worker('edge-34');
    await first.registerOnce();
    await approve('edge-34');
    const second = worker('edge-34');
    await Promise.allSettled([first.registerOnce(), second.registerOnce()]);
    const serials = fixture.certified
      .filter(({ deviceId }) => deviceId === 'edge-34')
      .map(({ serialNumber }) => serialNumber);
    const live = new Set(serials.filter((serial) => !fixture.revoked.includes(serial)));
    expect(live.size).toBe(1);
    expect([...live][0]).toMatch(/^[0-9a-f]{32}$/);
  });
});

it('F3: serial numbers are 128 random bits', async () => {
  await registered('edge-40');
  const serials = fixture.certified.map(({ serialNumber }) => serialNumber);
  expect(new Set(serials).size).toBeGreaterThan(1);
  for (const serial of serials) expect(serial).toMatch(/^[0-9a-f]{32}$/);
});
