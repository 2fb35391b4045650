import { generateKeyPairSync } from 'node:crypto';
import {
  approveRegistration,
  blockDevices,
  declineRegistration,
  getDevice,
  listRegistrations,
  newEvent,
  revokeRegistrationCertificate,
  type SignetEvent,
} from '@signet/contracts';
import {
  createCsr,
  encodePem,
  exportSpki,
  generateKeyPair,
  type KeyPair,
  parseCertificatePem,
  publicKeyHash,
} from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT } from './support/bootstrap-fixture.ts';
import { FlottaWorker } from './support/flotta-worker.ts';
import {
  type Identity,
  keyPem,
  openRegistrationFixture,
  type RegistrationFixture,
  requestFor,
} from './support/registration-fixture.ts';

let fixture: RegistrationFixture;
let certificate: Identity & { readonly fingerprint: string };
beforeAll(async () => {
  fixture = await openRegistrationFixture();
  certificate = await fixture.registrationCertificate();
});
afterAll(() => fixture[Symbol.asyncDispose]());

const bus = () => fixture.base.fixture.deps.bus;
const register = (deviceId: string, keys: KeyPair, identity: Identity = certificate, more = {}) =>
  fixture.call('POST', '/v1/register', { identity, body: { csr: requestFor(deviceId, keys), ...more } });
const approve = (requestId: string, account = ACCOUNT) =>
  bus().request(approveRegistration, { account, requestId, by: 'ada' });
const decline = (requestId: string, reason = 'not ours') =>
  bus().request(declineRegistration, { account: ACCOUNT, requestId, reason, by: 'ada' });
const keys = () => generateKeyPair('P-256');

describe('a device that asks to be registered', () => {
  it('F4: gets no certificate before an operator approves, and one after, without being touched', async () => {
    const own = keys();
    const details = { model: 'P200', serial: 'SN-1' };
    const first = await register('pump-1', own, certificate, { details, group: 'hall-3' });
    expect(first).toMatchObject({ status: 202, body: { state: 'waiting', deviceId: 'pump-1' } });
    expect(first.headers['retry-after']).toBe('30');
    const [asked] = await fixture.base.events('DEVICE_REGISTRATION_REQUESTED', 1);
    expect(asked).toMatchObject({
      account: ACCOUNT,
      subject: 'pump-1',
      data: { requestId: first.body.requestId, fingerprint: certificate.fingerprint, details },
    });
    expect(await register('pump-1', own)).toMatchObject({ status: 202, body: first.body });

    expect(await approve(first.body.requestId)).toMatchObject({ state: 'approved', decidedBy: 'ada' });
    const got = await register('pump-1', own);
    expect(got).toMatchObject({ status: 200, body: { state: 'issued', account: ACCOUNT } });
    const issued = parseCertificatePem(got.body.certificate);
    expect(issued.publicKeyHash).toBe(publicKeyHash(exportSpki(own.publicKey)));
    expect((await register('pump-1', own)).body.certificate).toBe(got.body.certificate);

    const bundle = await fixture.base.bootstrap(
      { cert: got.body.certificate, key: keyPem(own) },
      fixture.port,
    );
    expect(bundle).toMatchObject({ status: 200, body: { account: ACCOUNT, deviceId: 'pump-1' } });
    const device = await bus().request(getDevice, { account: ACCOUNT, deviceId: 'pump-1' });
    expect(device).toMatchObject({ model: 'P200', group: 'hall-3', state: 'bootstrapped' });
  });

  it('F1: after the handoff, the registration certificate speaks for it no more', async () => {
    const own = keys();
    const { body } = await register('pump-2', own);
    await approve(body.requestId);
    const got = await register('pump-2', own);
    await fixture.base.bootstrap({ cert: got.body.certificate, key: keyPem(own) }, fixture.port);
    expect(await register('pump-2', own)).toMatchObject({ status: 409, body: { code: 'device-id-taken' } });
  });

  it('F4: is told that it was declined, and why; the operator may think again', async () => {
    const own = keys();
    const { body } = await register('pump-3', own);
    expect(await decline(body.requestId)).toMatchObject({ state: 'declined', reason: 'not ours' });
    const refused = await register('pump-3', own);
    expect(refused).toMatchObject({ status: 403, body: { code: 'declined' } });
    expect(refused.body.detail).toMatch(/not ours$/);
    const events = await fixture.base.events('DEVICE_REGISTRATION_DECIDED', 3);
    expect(events.map(({ data }) => data.approved)).toContain(false);
    await approve(body.requestId);
    expect(await register('pump-3', own)).toMatchObject({ status: 200 });
    await expect(decline(body.requestId)).rejects.toMatchObject({ code: 'request-decided' });
  });

  it('F4: with another key for an id that waits, is approved or has its certificate, is refused', async () => {
    const own = keys();
    const { body } = await register('pump-4', own);
    for (const state of ['waiting', 'approved', 'issued']) {
      if (state === 'approved') await approve(body.requestId);
      if (state === 'issued') expect((await register('pump-4', own)).status).toBe(200);
      const other = await register('pump-4', keys());
      expect(other, state).toMatchObject({ status: 409, body: { code: 'another-key' } });
    }
  });

  it('F4: takes the place of a declined request with its own key', async () => {
    const { body } = await register('pump-5', keys());
    await decline(body.requestId);
    const own = keys();
    const second = await register('pump-5', own);
    expect(second.status).toBe(202);
    expect(second.body.requestId).not.toBe(body.requestId);
    await expect(approve(body.requestId)).rejects.toMatchObject({ code: 'unknown-request' });
  });

  it('F4: two that ask for one id at once: one waits, the other is told no', async () => {
    const answers = await Promise.all([register('pump-6', keys()), register('pump-6', keys())]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
  });

  it('F4: is refused where the account has a device of that id already', async () => {
    const made = await fixture.base.make('pump-7');
    await fixture.base.claim(made.fingerprint);
    expect(await register('pump-7', keys())).toMatchObject({
      status: 409,
      body: { code: 'device-id-taken' },
    });
  });

  it('F4: is not registered when it was blocked meanwhile', async () => {
    const own = keys();
    const { body } = await register('pump-8', own);
    await approve(body.requestId);
    await register('pump-8', own);
    await bus().request(blockDevices, {
      ...{ account: ACCOUNT, deviceIds: ['pump-8'], reason: 'stolen', by: 'ada' },
    });
    expect(await register('pump-8', own)).toMatchObject({ status: 403, body: { code: 'blocked' } });
  });
});

it('a handoff asked for by another method than POST: 405, which says so', async () => {
  const { identity } = await fixture.base.make('pump-get');
  const answer = await fixture.call('GET', '/v1/bootstrap', { identity });
  expect(answer).toMatchObject({
    status: 405,
    headers: { allow: 'POST' },
    body: { code: 'method-not-allowed', detail: 'method: /v1/bootstrap is asked for by POST' },
  });
});

describe('what a registration certificate may do', () => {
  it('F1: registers and nothing else: handoff, other paths and other methods are refused', async () => {
    for (const [method, path] of [
      ['POST', '/v1/bootstrap'],
      ['GET', '/v1/register'],
      ['GET', '/'],
    ] as const) {
      const answer = await fixture.call(method, path, { identity: certificate });
      expect(answer, path).toMatchObject({ status: 403, body: { code: 'wrong-purpose' } });
    }
  });

  it('F1: only a registration certificate registers', async () => {
    const { pki } = fixture.base.fixture;
    const made = await fixture.base.make('pump-10');
    const body = { csr: requestFor('pump-11', keys()) };
    for (const identity of [made.identity, pki.operational(ACCOUNT, 'pump-12')])
      expect(await fixture.call('POST', '/v1/register', { identity, body })).toMatchObject({
        status: 403,
        body: { code: 'wrong-purpose' },
      });
    expect(await fixture.call('POST', '/v1/register', { body })).toMatchObject({
      status: 401,
      body: { code: 'no-certificate' },
    });
    const unrecorded = pki.registration(ACCOUNT);
    expect(await fixture.call('POST', '/v1/register', { identity: unrecorded, body })).toMatchObject({
      status: 403,
      body: { code: 'unknown-registration-certificate' },
    });
  });

  it('F1: nothing more from the moment that it is revoked', async () => {
    const name = 'to-revoke';
    const revoked = await fixture.registrationCertificate({ name });
    const { body } = await register('pump-20', keys(), revoked);
    expect(body.state).toBe('waiting');
    await bus().request(revokeRegistrationCertificate, { account: ACCOUNT, name, by: 'ada' });
    expect(await register('pump-21', keys(), revoked)).toMatchObject({
      status: 403,
      body: { code: 'unknown-registration-certificate' },
    });
    await expect(fixture.registrationCertificate({ name })).rejects.toMatchObject({
      code: 'registration-certificate-exists',
    });
  });

  it('F1: one made for a device registers only that one', async () => {
    const bound = await fixture.registrationCertificate({ deviceId: 'pump-30' });
    expect(await register('pump-31', keys(), bound)).toMatchObject({
      status: 403,
      body: { code: 'bad-identity' },
    });
    expect(await register('pump-30', keys(), bound)).toMatchObject({ status: 202 });
  });

  it('F1: registers no more devices than its limit', async () => {
    const limited = await fixture.registrationCertificate({ limit: 1 });
    const first = await register('pump-40', keys(), limited);
    const second = await register('pump-41', keys(), limited);
    await approve(first.body.requestId);
    await expect(approve(second.body.requestId)).rejects.toMatchObject({ code: 'limit-reached' });
    expect(await register('pump-42', keys(), limited)).toMatchObject({
      status: 403,
      body: { code: 'limit-reached' },
    });
  });

  it('F4: no more requests wait than it allows, however many come at once', async () => {
    const narrow = await fixture.registrationCertificate({ maxWaiting: 3 });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => register(`flood-${i}`, keys(), narrow)),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(3);
    expect(statuses.filter((status) => status === 429)).toHaveLength(7);
    const full = answers.find(({ status }) => status === 429);
    expect(full?.headers['retry-after']).toBe('300');
    expect(full?.body.code).toBe('request-limit-reached');
  });
});

describe('what a device sends that is wrong', () => {
  const send = (body: unknown) => fixture.call('POST', '/v1/register', { identity: certificate, body });
  const forged = (commonName: string) => {
    const der = createCsr({ subject: { commonName }, ...keys() });
    der[der.length - 8] = (der[der.length - 8] ?? 0) ^ 1;
    return encodePem('CERTIFICATE REQUEST', der);
  };
  it.each([
    ['F3: a CSR that its key did not sign', () => ({ csr: forged('pump-60') }), 400, 'bad-csr-signature'],
    [
      'a weak key',
      () => ({ csr: requestFor('pump-60', generateKeyPairSync('rsa', { modulusLength: 1024 })) }),
      400,
      'weak-key',
    ],
    ['a CSR that is none', () => ({ csr: 'nonsense' }), 400, 'malformed-request'],
    ['no CSR', () => ({ deviceId: 'pump-60' }), 400, 'invalid-input'],
    [
      'a CSR of another device',
      () => ({ csr: requestFor('pump-61', keys()), deviceId: 'pump-60' }),
      400,
      'wrong-subject',
    ],
    ['a name that is no device id', () => ({ csr: requestFor('../pump', keys()) }), 403, 'bad-identity'],
    [
      'a field that there is not',
      () => ({ csr: requestFor('pump-60', keys()), account: 'rival' }),
      400,
      'invalid-input',
    ],
    [
      'details that are not text',
      () => ({ csr: requestFor('pump-60', keys()), details: { a: { b: 1 } } }),
      400,
      'invalid-input',
    ],
    ['JSON that is none', () => '{"csr":', 400, 'invalid-request'],
    ['a list', () => [], 400, 'invalid-input'],
    ['a body that is too large', () => ({ csr: 'x'.repeat(70_000) }), 413, 'body-too-large'],
  ])('%s is refused, and nothing waits', async (_name, body, status, code) => {
    expect(await send(body())).toMatchObject({ status, body: { code } });
    const { items } = await bus().request(listRegistrations, { account: ACCOUNT, limit: 1000 });
    expect(items.map(({ deviceId }) => deviceId)).not.toContain('pump-60');
  });

  it('says a refusal to operators too', async () => {
    await send({ csr: forged('pump-62') });
    await send({ csr: requestFor('pump-62', keys()), account: 'rival' });
    const told: SignetEvent<'BOOTSTRAP_REFUSED'>[] = [];
    const types = ['BOOTSTRAP_REFUSED'] as const;
    await using _tail = await bus().tail(
      { types, from: 'start' },
      (event) => void told.push(event as SignetEvent<'BOOTSTRAP_REFUSED'>),
    );
    const codes = () => told.map(({ data }) => data.code);
    await expect.poll(codes).toEqual(expect.arrayContaining(['bad-csr-signature', 'malformed-request']));
    expect(told.find(({ data }) => data.code === 'bad-csr-signature')).toMatchObject({
      account: ACCOUNT,
      data: { fingerprint: certificate.fingerprint, listener: 'bootstrap' },
    });
  });
});

describe('a suspended account', () => {
  it('gets no registration request, by either protocol, and the device is told why', async () => {
    const identity = await fixture.registrationCertificate({ account: 'unpaid' });
    const tell = (type: 'ACCOUNT_SUSPENDED' | 'ACCOUNT_RESUMED', sequence: number) => {
      const facts = { account: 'unpaid', subject: 'unpaid', time: Date.now() };
      const event = newEvent(type, { ...facts, data: { by: 'ada', reason: 'unpaid' } });
      return bus().publish([{ ...event, sequence }]);
    };
    const requests = async () => (await bus().request(listRegistrations, { account: 'unpaid' })).items;
    await tell('ACCOUNT_SUSPENDED', 2);
    const refused = { code: 'account-suspended', detail: 'account: "unpaid" is suspended' };
    const own = keys();
    await expect
      .poll(() => register('pump-60', own, identity), { timeout: 10_000 })
      .toMatchObject({ status: 403, body: refused });
    const before = await requests();
    expect(await register('pump-70', keys(), identity)).toMatchObject({ status: 403, body: refused });
    expect(await new FlottaWorker(fixture, 'edge-70', identity).registerOnce()).toEqual([403]);
    expect(await requests()).toEqual(before);
    const told: unknown[] = [];
    const types = ['BOOTSTRAP_REFUSED'] as const;
    await using _tail = await bus().tail({ types, from: 'start' }, ({ account, data }) => {
      if (account === 'unpaid' && 'code' in data) told.push(data.code);
    });
    await expect.poll(() => told).toContain('account-suspended');
    await tell('ACCOUNT_RESUMED', 3);
    await expect
      .poll(() => register('pump-70', keys(), identity), { timeout: 10_000 })
      .toMatchObject({ status: 202 });
  });
});

describe('tenants', () => {
  it('F66: neither see nor decide about each other’s requests', async () => {
    const { body } = await register('pump-50', keys());
    await expect(approve(body.requestId, 'rival')).rejects.toMatchObject({ code: 'unknown-request' });
    const { items } = await bus().request(listRegistrations, { account: 'rival' });
    expect(items).toEqual([]);
  });

  it('F66: the registration certificate of one registers nothing in another', async () => {
    const rival = await fixture.registrationCertificate({ account: 'rival' });
    const own = keys();
    const { body } = await register('pump-51', own, rival);
    await approve(body.requestId, 'rival');
    expect(await register('pump-51', own, rival)).toMatchObject({ body: { account: 'rival' } });
    await expect(bus().request(getDevice, { account: ACCOUNT, deviceId: 'pump-51' })).rejects.toMatchObject({
      code: 'unknown-device',
    });
  });
});
